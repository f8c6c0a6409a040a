#include "unit/core_wrangler/check.hpp"

using namespace hyperdrive::core::wrangler;

namespace {
constexpr auto kJsonc = Format::kJsonc;
}

TEST_CASE("a JSON binding is written over lines, as the file is indented") {
  CHECK(round_trip("{\n\t\"name\": \"demo\"\n}\n", kJsonc) ==
        "{\n\t\"name\": \"demo\",\n\t\"hyperdrive\": [\n\t\t{\n\t\t\t\"binding\": \"HYPERDRIVE\",\n"
        "\t\t\t\"id\": \"0123456789abcdef0123456789abcdef\"\n\t\t}\n\t]\n}\n");
}

TEST_CASE("wrangler's own example keeps its comments, its one-line arrays and its last comma") {
  const std::string text = R"(// my worker config
{
  "$schema": "node_modules/wrangler/config-schema.json",
  "name": "demo", // the name
  "main": "src/index.js",
  /* flags */
  "compatibility_flags": ["nodejs_compat"],
  "vars": { "A": "b" }, // vars
  // the end
}
)";
  const std::string bound = round_trip(text, kJsonc);
  CHECK(bound.find("\"vars\": { \"A\": \"b\" }, // vars\n  \"hyperdrive\": [\n    {\n      "
                   "\"binding\": \"HYPERDRIVE\",\n      \"id\": "
                   "\"0123456789abcdef0123456789abcdef\"\n    }\n  ],\n  // the end\n}\n") !=
        std::string::npos);
}

TEST_CASE("every shape of a JSON file takes a binding and gives it back") {
  for (const char* text : {
           "{}",
           "{ }",
           "{\n}\n",
           "\xEF\xBB\xBF{\"name\":\"d\"}",
           "{\"name\":\"d\"}",
           "{ \"name\": \"d\" }\n",
           "{ \"name\": \"d\", }\n",
           "{\"name\":\"d\" /* c */ , /* d */}",
           "{\"name\":\"d\", \"hyperdrive\":[]}",
           "{\"name\":\"d\",\"hyperdrive\":[ ]}",
           "{\"name\":\"d\",\"hyperdrive\":[ /* none */ ]}",
           "{\"hyperdrive\":[]}",
           "{\n  \"hyperdrive\": []\n}",
           "{\n  \"hyperdrive\": [],\n}",
           "{\n  \"hyperdrive\": [\n  ]\n}",
           "{\n  \"hyperdrive\": [\n    // none yet\n  ]\n}",
           "{\n  \"hyperdrive\": [ // none yet\n  ]\n}",
           "{\n  \"hyperdrive\": [{ \"binding\": \"A\", \"id\": \"1\" }]\n}",
           "{\n  \"hyperdrive\": [{ \"binding\": \"A\", \"id\": \"1\" },]\n}",
           "{\n  \"hyperdrive\": [{\"binding\":\"A\",\"id\":\"1\"}, "
           "{\"binding\":\"B\",\"id\":\"2\"}]\n}",
           "{\n  \"hyperdrive\": [\n    {\n      \"binding\": \"A\",\n      \"id\": \"1\"\n    }  "
           "// x  \n"
           "    // y\n  ]\n}",
           "{\n  \"hyperdrive\": [\n    { \"binding\": \"A\", \"id\": \"1\" }, // x  \n  ],\n}",
           "{\r\n\t\"name\": \"d\" // x\r\n}\r\n",
           "{\n  \"name\": \"d\"\n  // nothing else\n}",
           "{\"a\":1,\"a\":2}",
           "{\"hyperdrive\":[{\"binding\":\"X\",\"id\":\"1\"}],\"hyperdrive\":[]}",
           "{\n\"name\": \"d\",\n\"env\": {}\n}",
           "// a\n{ // b\n  \"x\": \"/* not a comment // */\" // c\n} // d",
       }) {
    INFO(text);
    round_trip(text, kJsonc);
    round_trip(text, kJsonc, "staging");
  }
}

TEST_CASE("every shape of a JSON environment takes a binding and gives it back") {
  for (const char* text : {
           "{\"env\":{}}",
           "{\"env\":{ }}",
           "{\"env\": { \"staging\": {} }}",
           "{\"env\": {\"staging\": {}}}",
           "{\"env\": {\"staging\": { }}}",
           "{\"env\": { \"staging\": {\"hyperdrive\": []} }}",
           "{\"env\":{\"staging\":{\"hyperdrive\":[]}}}",
           "{\n  \"env\": {}\n}",
           "{\n  \"env\": {\n  }\n}",
           "{\n  \"env\": {\n    \"staging\": {}\n  }\n}",
           "{\n  \"env\": {\n    \"staging\": {\n    }\n  }\n}",
           "{\n  \"env\": {\n    \"staging\": {\n      // nothing\n    }\n  }\n}",
           "{\n  \"env\": {\n    \"staging\": {\n      \"hyperdrive\": []\n    }\n  }\n}",
           "{\n  \"env\": {\n    \"staging\": {\n      \"hyperdrive\": [\n      ]\n    }\n  }\n}",
           "{\n  \"env\": {\n    \"staging\": {\n      \"name\": \"s\"\n    }\n  }\n}",
           "{\n  \"env\": {\n    \"production\": { \"name\": \"p\" }, // p\n  },\n}",
       }) {
    INFO(text);
    round_trip(text, kJsonc, "staging");
  }
}

TEST_CASE("binding again in JSON replaces the id and nothing else") {
  const std::string text =
      "{\n\t\"hyperdrive\": [\n\t\t// existing one\n\t\t{\n\t\t\t\"binding\": "
      "\"HYPERDRIVE\",\n\t\t\t"
      "\"id\": \"old\", // id\n\t\t\t\"localConnectionString\": \"postgres://a:b@localhost/db\"\n"
      "\t\t},\n\t],\n}";
  std::string wanted = text;
  wanted.replace(wanted.find("old"), 3, kId);
  CHECK(must_bind(text, kJsonc) == wanted);
  CHECK(must_bind("{\"hyperdrive\":[{\"binding\":\"HYPERDRIVE\",\"id\":5}]}", kJsonc) ==
        "{\"hyperdrive\":[{\"binding\":\"HYPERDRIVE\",\"id\":\"0123456789abcdef0123456789abcdef\"}]"
        "}");
}

TEST_CASE("several JSON bindings come and go in any order") {
  for (const char* text :
       {"{\n  \"name\": \"d\"\n}\n", "{\"name\":\"d\"}", "{\n  \"name\": \"d\",\n}"}) {
    for (const char* environment : {"", "staging"}) {
      const std::string a = must_bind(text, kJsonc, environment, "A");
      const std::string ab = must_bind(a, kJsonc, environment, "B");
      const std::string abc = must_bind(ab, kJsonc, environment, "C");
      CHECK(must_unbind(abc, kJsonc, environment, "C") == ab);
      const std::string bc = must_unbind(abc, kJsonc, environment, "A");
      const std::string c = must_unbind(bc, kJsonc, environment, "B");
      CHECK(must_unbind(c, kJsonc, environment, "C") == text);
    }
  }
}

TEST_CASE("what goes on behind a removed binding stays out of the comment before it") {
  // Found by generated files: the rest of the line would have become part of a line comment.
  CHECK(must_unbind("{\"hyperdrive\": [ // a\n  {\"binding\": \"HYPERDRIVE\", \"id\": \"x\"} ]}",
                    kJsonc) == "{\"hyperdrive\": [ // a\n   ]}");
  CHECK(must_unbind("{\"hyperdrive\": [ // a\n  {\"binding\": \"HYPERDRIVE\", \"id\": \"x\"}, "
                    "{\"binding\": \"B\", \"id\": \"y\"} ]}",
                    kJsonc) ==
        "{\"hyperdrive\": [ // a\n   {\"binding\": \"B\", \"id\": \"y\"} ]}");
  CHECK(must_unbind("{\"hyperdrive\": [{\"binding\": \"B\", \"id\": \"y\"}, // b\n"
                    "  {\"binding\": \"HYPERDRIVE\", \"id\": \"x\"} ]}",
                    kJsonc) == "{\"hyperdrive\": [{\"binding\": \"B\", \"id\": \"y\"} // b\n   ]}");
  CHECK(must_unbind(
            "{\"hyperdrive\": [\n  { // own\n    \"binding\": \"HYPERDRIVE\", \"id\": \"x\" }, "
            "{\"binding\": \"B\", \"id\": \"y\"} ]}",
            kJsonc) == "{\"hyperdrive\": [\n  // own\n   {\"binding\": \"B\", \"id\": \"y\"} ]}");
}

TEST_CASE("containers that a person wrote stay when their binding goes") {
  CHECK(must_unbind(
            "{\n  // mine\n  \"hyperdrive\": [\n    // this\n    { \"binding\": \"HYPERDRIVE\", "
            "\"id\": \"x\" } // that\n  ]\n}",
            kJsonc) == "{\n  // mine\n  \"hyperdrive\": [\n    // this // that\n  ]\n}");
  CHECK(must_unbind("{\"hyperdrive\":[{\"id\":\"x\",\"binding\":\"HYPERDRIVE\"}]}", kJsonc) ==
        "{\"hyperdrive\":[]}");
}

TEST_CASE("broken JSON is reported by line and column, and refused") {
  const auto message = [](const char* text) {
    const auto result = bind(text, kJsonc, {"wrangler.jsonc"}, "HYPERDRIVE", kId);
    REQUIRE_FALSE(result);
    return result.error().message;
  };
  CHECK(message("{ \"name\": ").starts_with("wrangler.jsonc:1:11:"));
  CHECK(message("{\n  \"a\": 1\n  \"b\": 2\n}").starts_with("wrangler.jsonc:3:3:"));
  for (const char* text :
       {"", "[]", "5", "{\"a\":01}", "{\"a\":tru}", "{'a':1}", "{\"a\":\"x}", "{\"a\":1}}",
        "{\"a\":1} /*", "{,}", "{\"a\":[1,,2]}", "{\"a\":\"\\x\"}", "{\"hyperdrive\":{}}",
        "{\"hyperdrive\":\"x\"}", "{\"hyperdrive\":null}"}) {
    INFO(text);
    CHECK_FALSE(bind(text, kJsonc, {"wrangler.jsonc"}, "HYPERDRIVE", kId));
  }
  CHECK_FALSE(bind("{\"env\":[]}", kJsonc, {"wrangler.jsonc", "staging"}, "HYPERDRIVE", kId));
  CHECK_FALSE(bind(std::string(100000, '['), kJsonc, {"wrangler.jsonc"}, "HYPERDRIVE", kId));
}
