"""Makes the page that shows the two texts of two tabs, so that the person picks and nothing is overwritten."""

from gateway.public.door import PublicDoor
from gateway.public.journey import CHECK, SCREENS, Answers, Screen, make_profile
from gateway.public.journey.places import get_path
from gateway.public.pages.frame import FormState, render_page
from gateway.public.pages.rows import list_rows


def render_stale(door: PublicDoor, screen: Screen, form: FormState, *, saved: Answers, typed: Answers) -> str:
    """Render what was saved beside what was typed, of one screen, or of all where the check page was posted."""
    words = door.words.page("stale")
    screens = SCREENS if screen.name == CHECK else (screen,)
    saved_rows = list_rows(door, saved, screens=screens, only_asked=False)
    typed_rows = list_rows(door, typed, screens=screens, only_asked=False)
    return render_page(
        door,
        "stale.html",
        profile=make_profile(saved),
        form=form,
        title=words["title"],
        lead=words["lead"],
        form_path=get_path(screen.name),
        rows=[
            {"label": one.label, "saved": one.texts, "typed": other.texts}
            for one, other in zip(saved_rows, typed_rows, strict=True)
            if one.texts != other.texts
        ],
        saved_heading=words["saved"],
        typed_heading=words["typed"],
        keep_saved=words["keep_saved"],
        keep_typed=words["keep_typed"],
    )
