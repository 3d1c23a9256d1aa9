"page stub"
def page(d): return ""
