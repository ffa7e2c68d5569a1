"""Splitting changes only together with SPLIT_VERSION."""

import hashlib

from app.ranking.skills.parse import SPLIT_VERSION, split_skills
from app.ranking.skills.synonyms import BUILT_IN

SAMPLE = (
    "Python, SQL;R | Excel",
    "C/C++, Cloud (AWS, Azure), Java/Scala, CI/CD, client/server",
    "10,000 rpm, 3D modelling, ISO 9001, .NET, Node.js, *nix",
    "• Python\n• SQL - 5 years\n• R (advanced)",
    "1. Python 2. SQL 3. R",
    "- Python - SQL",
    "['Python', 'SQL and R']",
    '[{"name": "Python"}, {"name": "C++"}]',
    "{Python,NULL}",
    "<ul><li>R&amp;D</li><li>C++</li></ul>",
    "Skills: Python. Tools: Git, Docker",
    "AWS: Lambda, 1C: Enterprise",
    "health and safety, Python & SQL, design and development, cooking and baking",
    "machine learning and deep learning, data mining and web design",
    "5+ years of Java, Excel 80%, English (C1), advanced, basic",
    "数据分析，机器学习、写作",  # noqa: RUF001
    "intel·ligència·Straße, „Go“, `R`, **SQL**",
    "n/a, None, etc., SQL etc.",
    "React + Node, 5 + years of Java, C + + developer",
)
# Where this differs, raise SPLIT_VERSION and write both down here: rows that were split
# by the version before keep their old skills otherwise.
KNOWN = (5, "6df131dff644f0d9")
KNOWN_PAIRS = (5, "00e3da33ed70634d")


def test_another_splitting_has_another_version() -> None:
    keys = "\n".join("\t".join(s.key for s in split_skills(text)) for text in SAMPLE)
    assert (SPLIT_VERSION, hashlib.sha256(keys.encode()).hexdigest()[:16]) == KNOWN


def test_other_synonyms_have_another_version() -> None:
    digest = hashlib.sha256(BUILT_IN.read_bytes()).hexdigest()[:16]
    assert (SPLIT_VERSION, digest) == KNOWN_PAIRS
