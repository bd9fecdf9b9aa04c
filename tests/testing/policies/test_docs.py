"""The programs in docs/local-lattice-policies.md run."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[3] / "docs" / "local-lattice-policies.md"


def plain(text):
    """In one line, because comments are wrapped."""
    return " ".join(re.sub(r"^#", "", text, flags=re.MULTILINE).split())


def test_the_examples_do_what_they_say(capsys):
    code = "\n".join(
        re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    )
    names = {}
    exec(code, names)
    said = plain(capsys.readouterr().out)
    promised = re.findall(r"^print.*\n((?:#.*\n)+)|^    print.*\n((?:#.*\n)+)", code, re.MULTILINE)
    assert len(promised) == 2
    for lines in promised:
        assert plain("".join(lines)) in said
    assert names["lattice"].caller("bob").principal.endswith("user/bob")
    assert names["credentials"].token
