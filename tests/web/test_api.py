"""The OpenAPI says what the server does."""

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from gridtwin.web.app import make_app
from gridtwin.web.guard import HEADER
from gridtwin.web.live import Limits

schemathesis = pytest.importorskip("schemathesis", reason="the OpenAPI is tested by schemathesis")


@pytest.fixture
def schema(runs, token):
    app = make_app(runs, token=token, limits=Limits(running=0))  # nothing is really started
    return schemathesis.openapi.from_asgi("/api/openapi.json", app, headers={"host": "127.0.0.1"})


def test_answers_are_as_described(schema, token):
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) > 10
    for operation in operations:

        @settings(
            max_examples=12,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def check(case):
            case.call_and_validate(headers={"host": "127.0.0.1", HEADER: token})

        check()


def test_every_answer_has_a_shape(client):
    document = client.get("/api/openapi.json").json()
    assert document["openapi"].startswith("3.")
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for status, answer in operation["responses"].items():
                if status in ("204",) or "text/event-stream" in answer.get("content", {}):
                    continue
                shape = answer["content"]["application/json"]["schema"]
                assert "$ref" in shape, (path, method, status)


def test_import_of_the_package_is_light():
    import subprocess
    import sys

    code = "import gridtwin, sys; print('fastapi' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
