"""`backlit recipes`: what comes with the package."""


def recipes() -> None:
    """List the bundled recipes."""
    from backlit.train import bundled, load_recipe, reporter

    report = reporter()
    width = max(map(len, bundled()))
    for name in bundled():
        report.say(f"{name:{width}}  {load_recipe(name).about}")
