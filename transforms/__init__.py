"""Images to vectors and labels: functions on arrays and bytes, and the transforms around them."""
