"""What Sphinx is told; scripts/docs builds the site."""

project = "Image inference"
html_title = "Batch image inference"
root_doc = "README"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
# The notebook's outputs are what is stored in it: tests run it.
nb_execution_mode = "off"
# GitHub makes an anchor of every heading.
myst_heading_anchors = 6
highlight_language = "text"
# A shell command of two lines in a notebook is not what Pygments takes one to be.
suppress_warnings = ["misc.highlighting_failure"]
# Dashes only; quotes stay as they are.
smartquotes_action = "D"

# The fields of a dataclass are its arguments.
napoleon_custom_sections = [("Attributes", "Parameters")]
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"

html_theme = "furo"
pygments_dark_style = "github-dark"
html_copy_source = False
html_show_copyright = False
html_static_path = ["static"]
html_css_files = ["site.css"]
