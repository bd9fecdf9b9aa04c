"""Local Lattices from TOML and YAML files."""

import json

import pytest

from lattice_client import ConfigurationError
from lattice_client.testing import HeaderMatch, LambdaTarget, LocalLattice, TemplateWarning, load
from support.applications import blue, green
from support.asgi_driver import Exchange, signed_by
from support.describe import describe
from support.local_oracles import HOST, NOW, as_pairs, wire
from support.policy_cases import statement

TOML = """
region = "eu-west-1"
account = "999999999999"
seed = 5

[networks.shop]
auth_type = "AWS_IAM"
policy = "policies/shop.json"

[networks.partners]
services = ["orders"]

[services.orders]
domain = "orders.internal.example.com"
auth_type = "NONE"
tags = { team = "orders" }
networks = ["shop"]
target = "blue"
rules = [
  { priority = 10, prefix = "/v2", method = "GET", forward = { blue = 10, green = 90 } },
  { path = "/Gone", case_sensitive = true, respond = 404 },
  { headers = [{ name = "x-tenant", contains = "beta" }], forward = "green" },
  { headers = { x-a = "1" }, respond = 500 },
]

[services.hooks]
target = { lambda = "support.applications:handler" }
listeners = [
  { protocol = "HTTPS", otherwise = { forward = "blue" } },
  { protocol = "HTTP", port = 8080, rules = [{ method = "POST", forward = "green" }] },
]

[services.hooks.policy.Statement]
Effect = "Allow"
Principal = "*"
Action = "*"
Resource = "*"

[targets]
blue = "support.applications:blue"
green = [
  "support.applications:green",
  { url = "http://127.0.0.1:8000", protocol_version = "HTTP2" },
]

[callers.orders-frontend]
role = "frontend"
session = "task-1"
"""

YAML = """
region: eu-west-1
account: "999999999999"
seed: 5
networks:
  shop: {auth_type: AWS_IAM, policy: policies/shop.json}
  partners: {services: [orders]}
services:
  orders:
    domain: orders.internal.example.com
    auth_type: NONE
    tags: {team: orders}
    networks: [shop]
    target: blue
    rules:
      - {priority: 10, prefix: /v2, method: GET, forward: {blue: 10, green: 90}}
      - {path: /Gone, case_sensitive: true, respond: 404}
      - {headers: [{name: x-tenant, contains: beta}], forward: green}
      - {headers: {x-a: "1"}, respond: 500}
  hooks:
    target: {lambda: "support.applications:handler"}
    policy:
      Statement: {Effect: Allow, Principal: "*", Action: "*", Resource: "*"}
    listeners:
      - {protocol: HTTPS, otherwise: {forward: blue}}
      - {protocol: HTTP, port: 8080, rules: [{method: POST, forward: green}]}
targets:
  blue: support.applications:blue
  green: [support.applications:green, {url: "http://127.0.0.1:8000", protocol_version: HTTP2}]
callers:
  orders-frontend: {role: frontend, session: task-1}
"""

POLICY = {"Statement": {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies/shop.json").write_text(json.dumps(POLICY))
    (tmp_path / "lattice.toml").write_text(TOML)
    (tmp_path / "lattice.yaml").write_text(YAML)
    return tmp_path


def built():
    """The same, built in Python."""
    lattice = LocalLattice(
        region="eu-west-1",
        account="999999999999",
        seed=5,
        network_name="shop",
        network_auth_type="AWS_IAM",
        network_policy=POLICY,
    )
    partners = lattice.add_network("partners")
    first = lattice.add_target_group("blue", blue)
    second = lattice.add_target_group("green", green, "http://127.0.0.1:8000")
    orders = lattice.add_service(
        "orders",
        domain=HOST,
        auth_type="NONE",
        target=first,
        networks=[lattice.network, partners],
    )
    orders.when(prefix="/v2", method="GET", priority=10).forward_to({first: 10, second: 90})
    orders.when(path="/Gone", case_sensitive=True).respond(404)
    orders.when(headers=[HeaderMatch("x-tenant", contains="beta")]).forward_to(second)
    orders.when(headers={"x-a": "1"}).respond(500)
    hooks = lattice.add_service("hooks", target=LambdaTarget(print), policy=POLICY)
    hooks.add_listener("HTTPS").otherwise.forward_to(first)
    hooks.add_listener("HTTP", 8080).when(method="POST").forward_to(second)
    lattice.add_caller("orders-frontend", role="frontend", session="task-1")
    return lattice


def in_words(lattice):
    return "\n".join(describe(lattice)).replace("print", "handler")


def test_both_kinds_of_file_say_what_the_builder_says(folder):
    words = in_words(built())
    assert in_words(load(folder / "lattice.toml")) == words
    assert in_words(load(folder / "lattice.yaml")) == words
    assert "10: GET /v2…: 10 to blue (<Target blue>), 90 to green (<Target green>, " in words
    assert "11: /Gone (case-sensitive): 404" in words
    assert "12: where x-tenant contains 'beta': green" in words
    assert "13: where x-a is '1': 500" in words


def test_what_was_read_works(folder):
    lattice = load(folder / "lattice.toml", clock=lambda: NOW)
    caller = lattice.caller("orders-frontend")
    assert caller.principal == "arn:aws:sts::999999999999:assumed-role/frontend/task-1"
    assert lattice.service("orders").tags == {"team": "orders"}

    def answer(entrance, *args, **kwargs):
        exchange = Exchange(entrance, signed_by(caller, *args, region="eu-west-1", **kwargs)).run()
        return exchange.status, exchange.text

    assert answer(lattice) == (200, "blue")
    assert answer(lattice, "GET", "/Gone")[0] == 404
    hooks = lattice.service("hooks")
    to_hooks = [("host", hooks.managed_name)]
    assert answer(lattice, headers=to_hooks)[0] == 200
    partners = lattice.networks["partners"]
    assert answer(partners) == (200, "blue")
    assert answer(partners, headers=to_hooks)[0] == 404


def test_targets_can_be_given(folder):
    words = "target red: no rule forwards to it; rules do to blue, green"
    with pytest.warns(TemplateWarning, match=words) as told:
        lattice = load(
            folder / "lattice.yaml",
            targets={"blue": "lambda:support.applications:handler", "red": green},
            region="eu-central-1",
        )
    assert [each.filename for each in told] == [__file__]
    assert lattice.region == "eu-central-1"
    assert isinstance(lattice.target_group("blue").targets[0].app, LambdaTarget)
    assert lattice.target_group("red").targets[0].app is green


@pytest.mark.parametrize("several", [False, True])
def test_one_identity_policy_needs_no_list(tmp_path, several):
    statement = '{Statement = {Effect = "Deny", Action = "*", Resource = "*"}}'
    path = tmp_path / "lattice.toml"
    path.write_text(
        f"callers.shop.identity_policies = {f'[{statement}]' if several else statement}"
    )
    (policy,) = load(path).caller("shop").identity.policies
    assert not policy.statements[0].allow


def test_a_service_that_no_network_lists_is_named(tmp_path):
    path = tmp_path / "lattice.toml"
    path.write_text(
        "services.orders = {}\nservices.later.networks = []\n[services.books]\n"
        "[networks.shop]\nservices = ['orders']\n"
    )
    words = "lattice.toml: services.books: this service is in no service network"
    with pytest.warns(TemplateWarning, match=words) as told:
        lattice = load(path)
    assert len(told) == 1
    assert lattice.network.services == (lattice.service("orders"),)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "latin-1"])
def test_policies_as_editors_write_them(tmp_path, encoding):
    policy = json.dumps({"Statement": statement(Sid="b\xfccher")}, ensure_ascii=False)
    (tmp_path / "policy.json").write_text(policy, encoding=encoding)
    path = tmp_path / "lattice.toml"
    path.write_text("services.orders.policy = 'policy.json'")
    if encoding == "latin-1":
        words = r"services\.orders\.policy: policy\.json cannot be read: it is not UTF-8"
        with pytest.raises(ConfigurationError, match=words):
            load(path)
    else:
        assert load(path).service("orders").policy.statements[0].allow


def test_where_calls_come_from(tmp_path):
    path = tmp_path / "lattice.toml"
    allowed = {"StringEquals": {"vpc-lattice-svcs:SourceVpc": "vpc-0a1b2c3d"}}
    (tmp_path / "policy.json").write_text(json.dumps({"Statement": statement(Condition=allowed)}))
    path.write_text("vpc_id = 'vpc-0a1b2c3d'\nservices.orders.policy = 'policy.json'")
    lattice = load(path)
    request = wire("GET", "/", [("host", "localhost")])
    assert Exchange(lattice, request).run().status == 200
    (record,) = lattice.access_log
    assert record["sourceVpcArn"] == "arn:aws:ec2:us-west-2:111122223333:vpc/vpc-0a1b2c3d"
    lattice.vpc_id = "vpc-4e5f6a7b"
    assert Exchange(lattice, request).run().status == 403
    assert lattice.access_log[-1]["sourceVpcArn"].endswith(":vpc/vpc-4e5f6a7b")


def test_a_file_may_say_little(tmp_path):
    path = tmp_path / "lattice.yml"
    path.write_text("services: {orders: {auth_type: NONE}}")
    lattice = load(str(path))
    request = wire("GET", "/", [("host", "localhost")])
    assert Exchange(lattice, request).run().status == 200
    assert describe(lattice)[0] == "service network local"


BROKEN = [
    (
        "services.orders.colour = 1",
        "services.orders: 'colour' is not known here; the known keys are: domain",
    ),
    ("service.orders = {}", ": 'service' is not known here; the known keys are: account"),
    ("services.Orders = {}", "services.Orders: 'Orders' is not a valid service name"),
    ("services.orders = 1", "services.orders: this must be a table"),
    ("account = '12'", ": an account has 12 digits, as text, unlike '12'"),
    ("region = 'somewhere nice'", ": 'somewhere nice' is not a region, such as us-west-2"),
    ("callers.shop.account = 222233334444", "callers.shop.account: this must be text (in quotes)"),
    ("callers.shop.account = '2222'", "callers.shop: an account has 12 digits"),
    ("callers.shop.identity_policies = 5", "callers.shop: "),
    ("callers.shop.tags = ['a']", "callers.shop.tags: this must be a table"),
    ("callers.shop.tags.Team = 1", "callers.shop.tags.Team: this must be text"),
    ("callers.shop.session = 5", "callers.shop.session: this must be text"),
    ("callers.shop.token = 1", "callers.shop.token: this must be true or false"),
    ("callers.'a b' = {}", "callers.a b: 'a b' is not a name of a role"),
    ("services.orders.auth_type = 'IAM'", "services.orders: auth_type must be 'AWS_IAM' or 'NONE'"),
    ("services.orders.domain = 1", "services.orders.domain: this must be text (in quotes), not 1"),
    ("services.orders.target = 'blue'", "target: no target group 'blue'; there are: none"),
    ("services.orders.target = 'no_such_module:b:c'", "no module 'no_such_module' to import"),
    (
        "services.orders.target = '127.0.0.1:8000'",
        "no module '127.0.0.1' to import; for a server give http://127.0.0.1:8000",
    ),
    ("services.orders.target = 'localhost:80/'", "for a server give http://localhost:80/"),
    ("services.orders.target = '[::1]:80'", "for a server give http://[::1]:80"),
    ("services.orders.target = '.applications:blue'", "target: a target is a URL, module:app or"),
    (
        "services.orders.target = 'support.applications:handler'",
        "or name it as lambda:module:handler",
    ),
    (
        "services.orders.target = 'support.applications:red'",
        "there is no 'red' in support.applications",
    ),
    (
        "services.orders.target = 'support.applications:NUMBER'",
        "support.applications:NUMBER is neither",
    ),
    (
        "services.orders.target = 'support.applications:UNCONFIGURED.app'",
        (
            "'UNCONFIGURED.app' cannot be read from support.applications: RuntimeError: "
            "no settings, no app"
        ),
    ),
    ("services.orders.target = 'http://a/b'", "target: a target's URL must"),
    ("services.orders.target = {}", "target: a target has a url (and perhaps"),
    (
        "services.orders.target = {url = 'http://[::1]', lambda = 'support.applications:handler'}",
        "an app or a lambda",
    ),
    (
        "services.orders.target = {app = 'support.applications:blue', protocol_version = 'HTTP2'}",
        "an app or a lambda",
    ),
    ("services.orders.networks = ['shop']", "orders: no service network 'shop'; there are: local"),
    ("services.orders.rules = [{path='/a'}]", "rules[0]: give either forward or respond"),
    ("services.orders.rules = [{respond=404}]", "rules[0]: a rule needs a condition"),
    ("services.orders.rules = [{path='/a', respond=403}]", "rules[0].respond: a fixed response is"),
    ("services.orders.rules = [{path='/a', respond='404'}]", "rules[0].respond: this must be a wh"),
    ("services.orders.rules = [{path='/a', forward='red'}]", "rules[0].forward: no target group"),
    ("services.orders.rules = [{path='/a', priority=true, respond=404}]", "rules[0].priority: thi"),
    (
        (
            "services.orders.rules = [{path='/a', priority=1, respond=404},"
            " {path='/b', priority=1, respond=404}]"
        ),
        "rules[1].respond: there is a rule of priority 1 already",
    ),
    ("services.orders.rules = [{headers=[{exact='x'}], respond=404}]", "headers[0]: a condition"),
    ("services.orders.rules = [{headers=[{name='x'}], respond=404}]", "headers[0]: give one of"),
    ("services.orders.rules = {}", "services.orders.rules: this must be a list"),
    ("services.orders.otherwise = {path='/'}", "otherwise: 'path' is not known here"),
    ("services.orders.listeners = [{port=1}]", "listeners[0]: a listener needs a protocol"),
    ("services.orders.listeners = [{protocol='TCP'}]", "a listener's protocol must be"),
    ("services.orders.policy = 'none.json'", "policy: none.json cannot be read: No such file"),
    ("services.orders.policy = {Statement=[]}", "services.orders.policy"),
    ("services.orders.tags = {team=1}", "services.orders.tags.team: this must be text"),
    ("callers.batch.account = '1'", "callers.batch: an account has 12 digits"),
    ("networks.shop.services = ['rates']", "networks.shop.services[0]: no service 'rates'"),
    ("networks.sh = {}", ": 'sh' is not a valid service network name"),
    ("targets.bl = 'support.applications:blue'", "targets.bl"),
    (
        "targets.tg-1 = 'support.applications:blue'",
        "targets.tg-1: 'tg-1' is not a valid target group name",
    ),
    (
        "callers.batch.colour = 'red'",
        "callers.batch: 'colour' is not known here; the known keys are: role",
    ),
    ("seed = 'x'", "seed: this must be a whole number"),
    ("region = 1", "region: this must be text"),
    ("path_encoding = 'triple'", "path_encoding must be 'double', 'double-raw' or 'single'"),
    ("query_plus = 'both'", "query_plus must be 'either', 'space' or 'plus', not 'both'"),
]


def test_what_a_signature_must_look_like(tmp_path):
    path = tmp_path / "lattice.toml"
    path.write_text(
        f'path_encoding = "double-raw"\nquery_plus = "space"\n[services.orders]\ndomain = "{HOST}"'
    )
    lattice = load(path, clock=lambda: NOW)
    caller = lattice.add_caller("frontend")

    def status(path, signed_as, path_encoding):
        signed = signed_by(caller, target=f"{path}?q={signed_as}", path_encoding=path_encoding)
        return Exchange(lattice, wire("GET", f"{path}?q=+", as_pairs(signed))).run().status

    assert status("/a//b%20c", "%20", "double-raw") == 200
    assert status("/a//b%20c", "%20", "double") == 403
    assert status("/a//b%20c", "%2B", "double-raw") == 403


@pytest.mark.parametrize(("text", "words"), BROKEN)
def test_errors_name_the_place(tmp_path, text, words):
    path = tmp_path / "broken.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    assert str(caught.value).startswith("broken.toml: ")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.toml", "services = ", "a.toml: "),
        ("a.yaml", "services: [", "a.yaml, line 1: "),
        ("a.yaml", "region: x\nregion: y", "a.yaml, line 2: the key 'region' is there twice"),
        ("a.yaml", "a: b\n- c", "a.yaml, line 2: "),
        ("a.yaml", "? [a]\n: b", "a.yaml, line 1: "),
        ("a.yaml", "1: x", "the key 1 must be text"),
        ("a.yaml", "- x", "this must be a table"),
        ("a.yaml", "x: !!python/object:os.system {}", "a.yaml, line 1: "),
        ("a.yaml", "x: " + "[" * 50_000, "a.yaml: nested too deeply"),
        ("a.yaml", "x: y\nseed: !!int foo", "a.yaml, line 2: 'foo' is not of the type !!int"),
        ("a.yaml", "seed: !!int ''", "a.yaml, line 1: '' is not of the type !!int"),
        ("a.yaml", "seed: !!float foo", "a.yaml, line 1: 'foo' is not of the type !!float"),
        ("a.yaml", "seed: !!bool foo", "a.yaml, line 1: 'foo' is not of the type !!bool"),
        ("a.yaml", "seed: !!timestamp foo", "a.yaml, line 1: 'foo' is not of the type !!timestamp"),
        ("a.yaml", "seed: !!timestamp 2020-13-13", "'2020-13-13' is not of the type !!timestamp"),
        ("a.yaml", "seed: !!map [a]", "a.yaml, line 1: this is not of the type !!map"),
        ("a.yaml", "seed: 0x_", "a.yaml, line 1: '0x_' is not of the type !!int"),
        ("a.yaml", "seed: " + "9" * 5000, "a.yaml, line 1: '999"),
        ("a.toml", "seed = " + "9" * 5000, "a.toml: Exceeds the limit"),
        ("a.yaml", "", "a.yaml: this file is empty; give it services"),
        ("a.yaml", "# nothing", "a.yaml: this file is empty; give it services"),
        ("a.json", "{}", "a.json: this file is empty; give it services"),
        ("a.toml", "", "a.toml: this file is empty; give it services"),
        ("a.toml", "# nothing", "a.toml: this file is empty; give it services"),
        ("a.conf", "", "a.conf: this file is empty; give it services"),
        (
            "a",
            "region = 'eu-west-1'",
            "a: this must be a table (a mapping); it was read as YAML: the name of a TOML file ",
        ),
        (
            "a.conf",
            "[services.orders]\ntags.a = 'b'",
            "; it was read as YAML: the name of a TOML file must end in .toml",
        ),
        ("a.toml", "x = " + "[" * 50_000, "a.toml: nested too deeply"),
    ],
)
def test_files_that_are_none(tmp_path, name, text, words):
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path / name)
    assert words in str(caught.value)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        load(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff")
    with pytest.raises(ConfigurationError, match="cannot be read: it is not UTF-8"):
        load(tmp_path / "binary.toml")


def test_a_byte_order_mark_does_no_harm(folder):
    words = in_words(load(folder / "lattice.toml"))
    for name, text in (("lattice.toml", TOML), ("lattice.yaml", YAML)):
        (folder / name).write_text(text, encoding="utf-8-sig")
        assert in_words(load(folder / name)) == words


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("e.json", "{}", "e.json: this file is empty"),
        (
            "e.json",
            "[]",
            "local.toml: template: e.json is not a CloudFormation template: it has no",
        ),
        ("e.yaml", "a", "local.toml: template: e.yaml is not a CloudFormation template: it has no"),
        ("e.toml", "region = 'x'", "template: e.toml is not a CloudFormation template: it has no"),
        ("local.toml", None, "template: local.toml is not a CloudFormation template: it has no"),
    ],
)
def test_templates_that_are_none(tmp_path, name, text, words):
    (tmp_path / "local.toml").write_text(f"template = '{name}'")
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path / "local.toml")
    assert words in str(caught.value)


def test_only_templates_have_parameters(folder):
    with pytest.raises(ConfigurationError, match="only CloudFormation templates have parameters"):
        load(folder / "lattice.toml", parameters={"A": "b"})


@pytest.mark.parametrize(
    ("module", "error", "words"),
    [
        ("import nowhere", ModuleNotFoundError, "ModuleNotFoundError: No module named 'nowhere'"),
        ("{}['DATABASE_URL']", KeyError, "KeyError: 'DATABASE_URL'"),
        ("def", SyntaxError, "SyntaxError: invalid syntax (broken_application.py, line 1)"),
        ("import sys; sys.exit()", SystemExit, "SystemExit"),
        ("raise ValueError", ValueError, "ValueError"),
    ],
)
def test_a_module_that_fails_to_import_says_so(tmp_path, monkeypatch, caplog, module, error, words):
    (tmp_path / "broken_application.py").write_text(module)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "a.toml").write_text("targets.blue = 'broken_application:app'")
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path / "a.toml")
    assert str(caught.value) == (
        f"a.toml: targets.blue: broken_application cannot be imported: {words}"
    )
    (record,) = [each for each in caplog.records if each.name == "lattice_client.testing"]
    assert record.exc_info[0] is error


def test_whoever_interrupts_an_import_is_obeyed(tmp_path, monkeypatch):
    (tmp_path / "interrupted_application.py").write_text("raise KeyboardInterrupt")
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "a.toml").write_text("targets.blue = 'interrupted_application:app'")
    with pytest.raises(KeyboardInterrupt):
        load(tmp_path / "a.toml")


NESTED = "Resources: {A: {Type: AWS::VpcLattice::Service, Properties: {Name: %s}}}"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("deep.yaml", "[" * 3000 + "]" * 3000),
        ("deep.json", NESTED % ('{"Fn::Sub": ' * 400 + "a" + "}" * 400)),
        ("deep.toml", "a = " + "[" * 3000 + "]" * 3000),
    ],
)
def test_what_is_nested_too_deeply_is_refused(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigurationError, match=f"^{name}: .*nested too deeply"):
        load(tmp_path / name)


def test_aliases_of_aliases_are_refused_before_they_are_written_out(tmp_path):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 8)}]" for n in range(1, 30)]
    (tmp_path / "bomb.yaml").write_text("\n".join(lines))
    with pytest.raises(ConfigurationError, match=r"^bomb\.yaml: its aliases stand for over"):
        load(tmp_path / "bomb.yaml")
