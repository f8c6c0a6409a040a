#include "unit/core_wrangler/check.hpp"

using namespace hyperdrive::core::wrangler;

namespace {
constexpr auto kToml = Format::kToml;
}

TEST_CASE("a TOML stanza is added at the end, one blank line apart") {
  CHECK(round_trip("name = \"demo\"\n", kToml) ==
        "name = \"demo\"\n\n[[hyperdrive]]\nbinding = \"HYPERDRIVE\"\nid = "
        "\"0123456789abcdef0123456789abcdef\"\n");
}

TEST_CASE("the end of a TOML file stays as it was") {
  for (const char* text :
       {"name = \"demo\"", "name = \"demo\"\n", "name = \"demo\"\n\n", "name = \"demo\"  \n\n\n  ",
        "", "\n", "# only a comment", "\xEF\xBB\xBFname = \"demo\"\n", "\xEF\xBB\xBF",
        "name = \"demo\"\r\nmain = \"x\"\r\n", "a = 1\r\n\r\n[vars]\r\nx = \"#[[hyperdrive]]\"",
        "[vars]\nx = 1 # behind", "text = '''\n[[hyperdrive]]\nbinding = \"A\"\n'''\n"}) {
    round_trip(text, kToml);
    round_trip(text, kToml, "staging");
    round_trip(text, kToml, "a b");
  }
}

TEST_CASE("a stanza follows the ones that are there") {
  const std::string text =
      "name = \"demo\"\n\n# first\n[[hyperdrive]]\nbinding = \"A\"\nid = \"1\"\n# still A's\n\n"
      "[vars]\nX = \"y\"\n";
  const std::string bound = round_trip(text, kToml);
  CHECK(bound ==
        "name = \"demo\"\n\n# first\n[[hyperdrive]]\nbinding = \"A\"\nid = \"1\"\n# still A's\n\n"
        "[[hyperdrive]]\nbinding = \"HYPERDRIVE\"\nid = \"0123456789abcdef0123456789abcdef\"\n\n"
        "[vars]\nX = \"y\"\n");
}

TEST_CASE("a comment that leads to the next table stays with it") {
  const std::string bound =
      round_trip("[env.staging]\nname = \"s\"\n# production\n[env.production]\nname = \"p\"\n",
                 kToml, "staging");
  CHECK(bound.find("\n# production\n[env.production]") != std::string::npos);
}

TEST_CASE("an environment's stanza stands with the environment") {
  const std::string bound = round_trip(
      "[env.staging]\nname = \"s\"\n\n[env.production]\nname = \"p\"\n", kToml, "staging");
  CHECK(bound ==
        "[env.staging]\nname = \"s\"\n\n[[env.staging.hyperdrive]]\nbinding = \"HYPERDRIVE\"\nid = "
        "\"0123456789abcdef0123456789abcdef\"\n\n[env.production]\nname = \"p\"\n");
}

TEST_CASE("indentation is as around") {
  const std::string bound = round_trip("\t[env.staging]\n\t\tname=\"s\"\n", kToml, "staging");
  CHECK(bound ==
        "\t[env.staging]\n\t\tname=\"s\"\n\n\t[[env.staging.hyperdrive]]\n\t\tbinding="
        "\"HYPERDRIVE\"\n\t\tid=\"0123456789abcdef0123456789abcdef\"\n");
}

TEST_CASE("every way to write a TOML binding takes another one and gives it back") {
  for (const char* text : {
           "hyperdrive = [{ binding = \"A\", id = \"1\" }]\n",
           "hyperdrive = [{binding=\"A\",id=\"1\"},]\n",
           "hyperdrive = []\n",
           "hyperdrive = [ ]\n",
           "hyperdrive = [ # none yet\n]\n",
           "hyperdrive = [\n]\n",
           "hyperdrive = [\n  # none yet\n]\n",
           "hyperdrive = [\n  { binding = \"A\", id = \"1\" }, # the first  \n  # the second\n"
           "  { binding = \"B\", id = \"2\" } # last\n]\n[vars]\nx=1\n",
           "hyperdrive = [\r\n\t{ binding = \"A\", id = \"1\" },\r\n]\r\n",
           "hyperdrive = [{ binding = 'A', id = '1' }, { binding = 'B', id = '2' }] # two\n",
           "[[hyperdrive]]\nbinding = \"A\"\nid = \"1\"\n[[hyperdrive]]\nbinding = \"B\"\nid = "
           "\"2\"\n",
           "[[hyperdrive]]\nid = \"1\"\nbinding = \"A\"\n[hyperdrive.more]\nx = 1\n[vars]\ny = 2\n",
           "[[hyperdrive]]\nbinding = \"A\"\nid = \"1\"\n[vars]\ny = 2\n[[hyperdrive]]\nbinding = "
           "\"B\"\nid = \"2\"\n[other]\n",
           "[[ \"hyperdrive\" ]]\nbinding = \"A\"\nid = \"1\"",
       }) {
    round_trip(text, kToml);
  }
}

TEST_CASE("every way to write a TOML environment takes a binding and gives it back") {
  for (const char* text : {
           "env.staging.name = \"s\"\nmain = \"x\"\n",
           "env = { staging = { name = \"s\" } }\n",
           "env = { staging = {} }\n",
           "env = { staging = { } }\n",
           "env = {}\n",
           "env = { staging = { hyperdrive = [] } }\n",
           "env = { staging = { hyperdrive = [{ binding = \"A\", id = \"1\" }] } }\n",
           "env = { production = { name = \"p\" } }\n",
           "env = { staging.name = \"s\" }\n",
           "[env]\nstaging = { name = \"s\" }\n",
           "[env]\nstaging.name = \"s\"\nproduction.name = \"p\"\n",
           "[env]\nproduction.name = \"p\"\n",
           "[env]\n",
           "[env.staging]\n",
           "[env.staging]\nhyperdrive = []\n",
           "[env.staging]\nhyperdrive = [{ binding = \"A\", id = \"1\" }]\nname = \"s\"\n",
           "[env.staging.vars]\nx = 1\n\n[vars]\ny = 1\n",
           "[env.\"staging\"]\nname = \"s\"\n",
           "env.staging.vars.x = 1\n[env.staging.route]\npattern = \"x\"\n",
           "[[env.staging.hyperdrive]]\nbinding = \"A\"\nid = \"1\"\n",
           "env.staging.hyperdrive = [{ binding = \"A\", id = \"1\" }]\n",
           "env.staging.hyperdrive = []\nenv.staging.name = \"s\"\n",
           "[env.staging]\nname = \"s\"\n# the end of it\n\n\n[vars]\nx = 1\n",
       }) {
    INFO(text);
    round_trip(text, kToml, "staging");
  }
}

TEST_CASE("binding again replaces the id and nothing else") {
  const std::string text =
      "# c\n[[hyperdrive]] # h\n  binding = \"HYPERDRIVE\" # b\n  id   =  'old' # i\n"
      "  localConnectionString = \"postgres://a:b@localhost/db\"\n  unknown = [1, 2]\n";
  std::string wanted = text;
  wanted.replace(wanted.find("old"), 3, kId);
  CHECK(must_bind(text, kToml) == wanted);

  const std::string in_line =
      "hyperdrive = [{ id = \"old\", binding = \"HYPERDRIVE\", remote = true }] # x\n";
  wanted = in_line;
  wanted.replace(wanted.find("old"), 3, kId);
  CHECK(must_bind(in_line, kToml) == wanted);
}

TEST_CASE("a binding without an id gets one") {
  CHECK(must_bind("[[hyperdrive]]\n  binding = \"HYPERDRIVE\" # b\n  remote = false\n", kToml) ==
        "[[hyperdrive]]\n  binding = \"HYPERDRIVE\" # b\n  id = "
        "\"0123456789abcdef0123456789abcdef\"\n  remote = false\n");
  CHECK(must_bind("hyperdrive = [{binding = \"HYPERDRIVE\"}]", kToml) ==
        "hyperdrive = [{binding = \"HYPERDRIVE\", id = \"0123456789abcdef0123456789abcdef\"}]");
}

TEST_CASE("several bindings come and go in any order") {
  const std::string text = "name = \"demo\"\n\n[vars]\nx = 1\n";
  for (const char* environment : {"", "staging"}) {
    const std::string a = must_bind(text, kToml, environment, "A");
    const std::string ab = must_bind(a, kToml, environment, "B");
    const std::string abc = must_bind(ab, kToml, environment, "C");
    CHECK(must_unbind(abc, kToml, environment, "C") == ab);
    const std::string bc = must_unbind(abc, kToml, environment, "A");
    CHECK(bc == must_bind(must_bind(text, kToml, environment, "B"), kToml, environment, "C"));
    const std::string c = must_unbind(bc, kToml, environment, "B");
    CHECK(must_unbind(c, kToml, environment, "C") == text);
  }
}

TEST_CASE("unbinding a stanza that a person wrote keeps every comment") {
  CHECK(
      must_unbind("a = 1\n\n# mine\n[[hyperdrive]]\nbinding = \"HYPERDRIVE\" # why\n# inner\nid = "
                  "\"x\"\n\n[vars]\ny = 1\n",
                  kToml) == "a = 1\n\n# mine\n# why\n# inner\n\n[vars]\ny = 1\n");
  CHECK(must_unbind("[[hyperdrive]]\nbinding = \"HYPERDRIVE\"\nid = \"x\"\n\n[vars]\ny = 1\n",
                    kToml) == "[vars]\ny = 1\n");
  CHECK(
      must_unbind("a = 1\n\n[[hyperdrive]]\nbinding = \"HYPERDRIVE\"\nid = \"x\"\n[vars]\ny = 1\n",
                  kToml) == "a = 1\n\n[vars]\ny = 1\n");
  CHECK(
      must_unbind("a = 1\n[[hyperdrive]]\nbinding = \"HYPERDRIVE\"\nid = \"x\"\n[hyperdrive.o]\nq "
                  "= 1\n[vars]\ny = 1\n[hyperdrive.p]\nq = 2\n",
                  kToml) == "a = 1\n[vars]\ny = 1\n");
}

TEST_CASE("what cannot be edited safely is refused") {
  for (const char* text :
       {"name = ", "name = \"a\"\nname = \"b\"\n", "[hyperdrive]\nbinding = \"A\"\n",
        "hyperdrive = \"x\"\n", "hyperdrive = { binding = \"A\" }\n", "x = [1, 2\n",
        "[[hyperdrive]]\nbinding = \"HYPERDRIVE\"\nid = \"1\"\n[[hyperdrive]]\nbinding = "
        "\"HYPERDRIVE\"\nid = \"2\"\n"}) {
    INFO(text);
    CHECK_FALSE(bind(text, kToml, {"wrangler.toml"}, "HYPERDRIVE", kId));
  }
  CHECK_FALSE(bind("env = 5\n", kToml, {"wrangler.toml", "staging"}, "HYPERDRIVE", kId));
  CHECK_FALSE(unbind("name = \"a\"\n", kToml, {"wrangler.toml"}, "HYPERDRIVE"));
}

TEST_CASE("a broken TOML file is reported by line and column") {
  const auto result = bind("a = 1\nname = \n", kToml, {"wrangler.toml"}, "HYPERDRIVE", kId);
  REQUIRE_FALSE(result);
  CHECK(result.error().message.starts_with("wrangler.toml:2:"));
}
