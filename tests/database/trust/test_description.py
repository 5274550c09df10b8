"""The API meets whatever its description allows or forbids without falling over. TRUST I10 to I12, I14.

Schemathesis makes the requests; the ids in addresses are real, so that not all of them end at 404. By default a few
examples an operation; `dev.py test --full` asks sixty of each, with three seeds.
"""

from __future__ import annotations

import json
import os
from typing import Any
from urllib.parse import urlencode

import pytest
import schemathesis
from django.contrib.auth.models import Group
from django.db import transaction
from django.test import Client
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode
from schemathesis.core import NOT_SET

from tests import factories
from tests.database.trust.schema import document, operations_of_schema, pattern_of
from tests.database.trust.world import World

IS_FULL = bool(os.environ.get("CLINIC_FULL"))
EXAMPLES, SEEDS = (60, (1, 2, 3)) if IS_FULL else (6, (1,))
REFUSALS = {400, 403, 404, 409, 412, 415, 422, 428}
DESCRIBED = [(one.path, one.method) for one in operations_of_schema()]


def sendable(body: Any) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode("utf-8", "surrogatepass")


@pytest.mark.parametrize("number", SEEDS)
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["allowed", "forbidden"])
@pytest.mark.parametrize(("path", "method"), DESCRIBED)
def test_operation_answers_what_its_description_makes(
    world: World, path: str, method: str, mode: GenerationMode, number: int
) -> None:
    user = factories.user(role="manager", sites=(world.site,))
    user.groups.add(Group.objects.get(name="physician"))  # who records what was found and done
    client = Client(raise_request_exception=False)
    client.force_login(user)
    address = world.address(pattern_of(path), user)
    operation = schemathesis.openapi.from_dict(document())[path][method]
    asked: list[int] = []

    @seed(number)
    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        has_body = case.body is not NOT_SET
        query = urlencode(case.query or {}, doseq=True, errors="surrogatepass")
        with transaction.atomic():
            response = client.generic(
                method,
                address,
                sendable(case.body) if has_body else b"",
                content_type=case.media_type or "application/json",
                QUERY_STRING=query,
                headers={"If-Match": "*"},
            )
            transaction.set_rollback(True)
        asked.append(response.status_code)
        assert response.status_code in REFUSALS | {200, 201}, (case.body, query)
        kind = "application/json" if response.status_code < 400 else "application/problem+json"
        assert response["Content-Type"].partition(";")[0] == kind
        assert isinstance(response.json(), dict)

    if mode is GenerationMode.NEGATIVE and not (operation.body or operation.query):
        return  # nothing of it can be wrong
    ask()
    assert asked
