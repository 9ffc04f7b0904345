from tests.collect.conftest import *


def issue(n, **more):
    return {
        "id": 1000 + n,
        "node_id": f"I_{n}",
        "number": n,
        "html_url": f"https://github.com/o/r/issues/{n}",
        "title": f"LoRA fails {n}",
        "body": "It `fails`",
        "user": {"login": "ann", "type": "User"},
        "created_at": "2026-11-12T00:00:00Z",
        "updated_at": "2026-11-13T00:00:00Z",
        "state": "open",
        "comments": 2,
        **more,
    }


def test_smoke(desk):
    desk.replay.on("/repos/o/r/issues", [issue(1), issue(2), {"id": "x"}])
    r = desk.run(github_entry(desk.replay.url))
    print(r.sources[0])
    print(desk.items())
    print(desk.table("windows"), desk.table("quarantine"))
    r = desk.run(github_entry(desk.replay.url))
    print(r.sources[0], desk.replay.paths())
    assert 0
