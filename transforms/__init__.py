"""Images to vectors and labels: functions on arrays and bytes, and the Beam transforms that wire them."""
