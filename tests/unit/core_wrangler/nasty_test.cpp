// Files chosen to break the editors: what bind writes, unbind takes away, byte for byte; what is
// broken is refused and its place named.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <regex>
#include <string_view>

#include "core/wrangler/edit.hpp"

using namespace hyperdrive::core::wrangler;
using namespace std::string_view_literals;

namespace {

// clang-format off
constexpr std::string_view kToml[] = {
    "name = \"x\"\r\ncompat = 1\n[vars]\r\nA = 1\n[[hyperdrive]]\r\nbinding = \"A\"\nid = \"1\"\r\n"sv,
    "name = \"x\"\r[vars]\rA=1\r"sv,
    "name = \"x\" # a\r\n\r\n\r\n[[hyperdrive]]\r\nbinding = \"A\"\r\nid = \"1\"\r\n\r\n\r\n# e"sv,
    "\t\tname = \"x\"\n\t[[hyperdrive]]\n\tbinding = \"A\"\n\tid = \"1\"\n\t"sv,
    "[[hyperdrive]]\nbinding = \"A\"\nid = \"1\"\n[[kv_namespaces]]\nbinding = \"K\"\nid = \"k\"\n[[hyperdrive]]\nbinding = \"B\"\nid = \"2\"\n[[kv_namespaces]]\nbinding=\"L\"\nid=\"l\"\n"sv,
    "hyperdrive = [\n  {binding = \"A\", id = \"1\"}, {binding = \"B\",\tid=\"2\"},\n\n  # between\n  {binding = \"C\", id=\"3\"}\n  , # comma first\n]\n"sv,
    "hyperdrive = [ # c\n{binding = \"A\", id = \"1\"} # d\n, {binding = \"B\", id=\"2\"}]"sv,
    "hyperdrive = [{binding = \"A\", id = \"1\"},{binding = \"B\", id=\"2\"},{binding = \"HYPERDRIVE\", id=\"3\"},]\n"sv,
    "hyperdrive = [{binding = \"\"\"A\"\"\", id = '''1'''}]\n"sv,
    "hyperdrive = [{binding = \"A\", id = \"1\", nested = {a = [1,2,{b=\"]\"}]}}]\n"sv,
    "hyperdrive = [[]]\n"sv,
    "hyperdrive = [{}]\n"sv,
    "hyperdrive = [{binding=\"A\"}]\n"sv,
    "hyperdrive = [{id=\"A\"}]\n"sv,
    "[env.staging]\nhyperdrive = [{binding=\"A\",id=\"1\"}]\n[[env.prod.hyperdrive]]\nbinding=\"B\"\nid=\"2\"\n[[env.prod.hyperdrive]]\nbinding=\"C\"\nid=\"3\"\n"sv,
    "[env.\"st.aging\"]\nname=\"q\"\n[env.staging]\nname=\"r\"\n"sv,
    "[env.\"staging\".vars]\nA=1\n[env.staging.limits]\nB=1\n"sv,
    "[env.'staging']\n[env.\"pro\\u0064\"]\n"sv,
    "[env]\n[env.staging]\n[env.staging.vars]\n"sv,
    "[env]\nstaging = {}\n"sv,
    "env = {}\n"sv,
    "env = {staging={}}\n"sv,
    "env = {staging={hyperdrive=[]}}\n"sv,
    "env = {staging={hyperdrive=[{binding=\"A\",id=\"1\"}]},prod={}}\n"sv,
    "env.staging = {}\n"sv,
    "env.staging.vars.A = 1\nenv.prod.name = \"p\"\n"sv,
    "[env.staging]\nvars = { A = \"\"\"\n[[env.staging.hyperdrive]]\n\"\"\" }\n"sv,
    "[env.staging]\n# comment only\n\n# [[env.staging.hyperdrive]]\n\n[env.prod]\n"sv,
    "a = \"\"\"\\\n   [[hyperdrive]]\n\"\"\"\n[vars]\nb = '''\n\"\"\"\n[[hyperdrive]]\n'''\n"sv,
    "a = \"\"\"x\"\"\\\"\"\"\"\n"sv,
    "a = \"\"\"\"\"x\"\"\"\"\"\n"sv,
    "a = '''''x'''''\n"sv,
    "vars = { \"[[hyperdrive]]\" = 1, '#' = \"}\" }\n"sv,
    "\"[[hyperdrive]]\" = 1\n"sv,
    "\"hyperdrive.x\" = 1\nhyperdrivex = 2\n"sv,
    "[hyperdrive_old]\nx=1\n[[hyperdrive2]]\ny=1\n"sv,
    "[vars.hyperdrive]\nx=1\n[[vars.hyper]]\n"sv,
    "[x.env.staging]\nhyperdrive=[]\n"sv,
    "hyperdrive=[\t]#x"sv,
    "hyperdrive\t=\t[\t{\tbinding\t=\t'A'\t,\tid\t=\t'1'\t}\t]\t# z"sv,
    "'hyperdrive' = [{'binding' = 'A', \"id\" = '1'}]\n"sv,
    "[[hyperdrive]]\nid = \"1\"\nbinding = \"HYPERDRIVE\"\n# tail of it\n\n# head of vars\n[vars]\n"sv,
    "[[hyperdrive]]\nbinding = \"HYPERDRIVE\"\nid = \"1\"\nlocalConnectionString = \"\"\"\npostgres://x\n\"\"\"\n[vars]\n"sv,
    "[[hyperdrive]]\nbinding = \"HYPERDRIVE\"\nid = \"1\"\n[hyperdrive.meta]\na = 1\n[[hyperdrive.list]]\nb = 2\n[[hyperdrive]]\nbinding = \"B\"\nid = \"2\"\n"sv,
    "[vars]\nA=1\n[[hyperdrive]]\nbinding=\"A\"\nid=\"1\"\n[hyperdrive.meta]\nx=1\n[other]\ny=2\n"sv,
    "a = [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]\n"sv,
    "a = {a={a={a={a={a={a={a={a={a={a={a={a={a={a={a={a={a={a={a={a={a={a={a={a={a={a={a={a={a={a={a={a={a={a={a={a={a={a={a={a={a={a={a={a={a={a={a={a={a={a={a={a={a={a={a={a={a={a={a={a=1}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}\n"sv,
    "a.b.c.d.e.f = 1\n[z.y.x]\n"sv,
    "d = 07:32:00\ne = 1979-05-27\nf = 1979-05-27 07:32:00.999-07:00\n"sv,
    "i = [1_000, +5, -0, 0o7, 0b1, 0xF, 1e3, inf, +nan]\n"sv,
    "# \303\251 \303\274 \346\227\245\346\234\254 \360\237\230\200\nname = \"\346\227\245\346\234\254\"\n\"\320\272\320\273\321\216\321\207\" = \"x\"\n"sv,
    "name = \"x\" \t \n   \n[vars]   \t\n A = 1   "sv,
    "\n\n\n"sv,
    "[vars]\n\n\n"sv,
    "[env.staging]"sv,
    "[env.staging]\n[env.staging.vars]"sv,
    "[[hyperdrive]]\nbinding=\"A\"\nid=\"1\"\n[env.staging]"sv,
    "[[hyperdrive]]\nbinding=\"A\"\nid=\"1\"#c"sv,
    "hyperdrive = [\r\n  { binding = \"A\", id = \"1\" },\r\n]\r\n"sv,
    "hyperdrive = [\n  { binding = \"A\", id = \"1\" },\r\n]\n"sv,
    "hyperdrive = [\n\n\n\n  { binding = 'A', id = '1' }\n\n\n]\n"sv,
    "[a]\nhyperdrive = [{binding=\"A\",id=\"1\"}]\n"sv,
    "[[a]]\n[[a.hyperdrive]]\nbinding=\"A\"\n"sv,
    "b = { hyperdrive = [ {binding=\"A\", id=\"1\"} ] }\n"sv,
    "name=\"x\"\n[site]\nbucket=\"./p\"\n[[env.staging.hyperdrive]]\nbinding=\"A\"\nid=\"1\"\n[vars]\nq=1\n[[env.staging.hyperdrive]]\nbinding=\"B\"\nid=\"2\"\n"sv,
    "env.staging.hyperdrive = []\n"sv,
    "env.\"staging\".hyperdrive = [{binding=\"HYPERDRIVE\",id=\"1\"}]\n[vars]\n"sv,
    "env.'staging' = { 'hyperdrive' = [{binding='A',id='1'}] }\n"sv,
    "[env]\nstaging.hyperdrive = [{binding=\"A\",id=\"1\"}]\n"sv,
    "[env]\nstaging.vars.A=1\n[vars]\n"sv,
    "[env.staging.hyperdrive_x]\na=1\n"sv,
    "name = \"x\"\nhyperdrive = [{binding=\"A\",id=\"1\"}]\n[[hyperdrive]]\nbinding=\"B\"\nid=\"2\"\n"sv,
    "[hyperdrive]\n[[hyperdrive]]\n"sv,
    "[[hyperdrive]]\n[hyperdrive]\n"sv,
    "[env.staging]\nhyperdrive=1\n"sv,
    "[env.staging]\nhyperdrive={}\n"sv,
    "[env.staging.hyperdrive]\nbinding=\"A\"\n"sv,
    "[[env.staging]]\nname=\"x\"\n"sv,
    "[env]\nstaging=\"x\"\n"sv,
    "a = {b=1}\na.c=2\n"sv,
    "[a]\n[a]\n"sv,
    "a=[1,2\nb=3\n"sv,
    "a=\"\"\"x\n"sv,
    "name = x\n"sv,
    "=1\n"sv,
    "a\n"sv,
    "a=1 b=2\n"sv,
    "[a\n"sv,
    "[]\n"sv,
    "[a.]\n"sv,
    "[[a]\n"sv,
    "a..b=1\n"sv,
    "\001\n"sv,
    "a=\"\\u12\"\n"sv,
    "a=\"\\ud800\"\n"sv,
    "\357\273\277\357\273\277a=1\n"sv,
    "a=1\n\357\273\277b=2\n"sv,
    "a=tru\n"sv,
    "a=1__0\n"sv,
    "a=1.\n"sv,
    "a=.1\n"sv,
    "a=2020-02-30\n"sv,
    "a=25:00:00\n"sv,
    "a={b=1,b=2}\n"sv,
    "a={b=1 c=2}\n"sv,
    "a=[1 2]\n"sv,
    "a={\nb=1}\n"sv,
    "\"a\"=1\na=2\n"sv,
    "\"a\"=1\n'a'=2\n"sv,
    "a.b=1\n[a]\nc=1\n"sv,
    "[a.b]\n[a]\nb=1\n"sv,
};

constexpr std::string_view kJsonc[] = {
    "{\r  \"name\": \"x\", // c\r  \"y\": 1\r}\r"sv,
    "{\r\n  \"a\": 1,\n  \"b\": 2\r\n}\n"sv,
    "{\n\t\"a\": 1,\n    \"b\": 2\n}"sv,
    "{\"a\":1,\n\"hyperdrive\":\n[\n{\n\"binding\"\n:\n\"A\"\n,\n\"id\"\n:\n\"1\"\n}\n]\n}\n"sv,
    "{\n  // hyperdrive: [\n  \"a\": 1, // \"hyperdrive\": []\n  /* \"hyperdrive\": [{ */\n  \"hyperdrive\": [ // x\n    { \"binding\": \"A\", /* y */ \"id\": \"1\" } /* z */ , // w\n    // last\n  ] /* after */ , // and\n}\n// eof"sv,
    "{\"hyperdrive\":[{\"binding\":\"A\",\"id\":\"1\"},{\"binding\":\"HYPERDRIVE\",\"id\":\"2\"},{\"binding\":\"C\",\"id\":\"3\"}]}"sv,
    "{\"hyperdrive\":[{\"binding\":\"HYPERDRIVE\",\"id\":\"2\"},]}"sv,
    "{\"hyperdrive\":[{\"binding\":\"HYPERDRIVE\",\"id\":\"2\"} /* c */ ]}"sv,
    "{\"hyperdrive\":[{\"binding\":\"HYPERDRIVE\",\"id\":\"2\",},],}"sv,
    "{\"hyperdrive\":[{\"binding\":\"A\",\"id\":\"1\",\"x\":{\"y\":[1,{\"z\":\"]\"}]}}]}"sv,
    "{\"hyperdrive\":[{}]}"sv,
    "{\"hyperdrive\":[{\"id\":\"1\"}]}"sv,
    "{\"hyperdrive\":[null]}"sv,
    "{\"hyperdrive\":[[]]}"sv,
    "{\"hyperdrive\":\"\"}"sv,
    "{\"env\":{\"staging\":{\"hyperdrive\":{}}}}"sv,
    "{\"env\":{\"staging\":null}}"sv,
    "{\"env\":null}"sv,
    "{\"env\":[]}"sv,
    "{\"env\":{\"staging\":{},\"prod\":{}},\"hyperdrive\":[]}"sv,
    "{\"env\":{\"st.aging\":{},\"staging\":{\"vars\":{\"hyperdrive\":[]}}}}"sv,
    "{\n  \"env\": {\n    \"staging\": {\n      \"hyperdrive\": [\n        { \"binding\": \"A\", \"id\": \"1\" }\n      ]\n    }\n  }\n}"sv,
    "{\"env\":{\"staging\":{\"hyperdrive\":[{\"binding\":\"HYPERDRIVE\",\"id\":\"1\"}]},\"prod\":{\"hyperdrive\":[{\"binding\":\"HYPERDRIVE\",\"id\":\"1\"}]}}}"sv,
    "{\"\\u0065nv\":{\"stagin\\u0067\":{}}}"sv,
    "{\"env\":{\"\\u0073taging\":{\"hyper\\u0064rive\":[{\"b\\u0069nding\":\"A\",\"\\u0069d\":\"1\"}]}}}"sv,
    "{\"a\":\"\\\\\",\"b\":\"\\\\\\\"\",\"c\":\"//\",\"d\":\"/*\"}"sv,
    "{\"a\":\"\\/\",\"b\":\"\\b\\f\\n\\r\\t\"}"sv,
    "{\"\360\237\230\200\":\"\360\237\230\200\",\"\303\251\":\"\303\251\"}"sv,
    "{\"a\":1e400,\"b\":-0,\"c\":1E+2,\"d\":12345678901234567890123}"sv,
    "\357\273\277// c\n{}"sv,
    "\357\273\277\n{\r\n}\r\n"sv,
    "{\n}"sv,
    "{\n\n\n}\n"sv,
    "{ // c\n}"sv,
    "{ /* c */\n}\n"sv,
    "{/**/}"sv,
    "{//\n}"sv,
    "{\n  \"a\": 1\n  /* c */\n}"sv,
    "{\n  \"a\": 1 // c\n}"sv,
    "{\n  \"a\": 1, // c\n}"sv,
    "{\n  \"a\": {\n    \"b\": 1\n  }\n}\n\n\n"sv,
    "  {\"a\":1}  "sv,
    "\t{\t\"a\"\t:\t1\t}\t"sv,
    "{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}"sv,
    "{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":1}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}"sv,
    "{\"a\":1}\n\n// bye\n/* bye */\n"sv,
    "/* a */ /* b */ { /* c */ \"x\" /* d */ : /* e */ 1 /* f */ , /* g */ }"sv,
    "{\"a\":1/* c\n\n */\n}"sv,
    "{\"hyperdrive\":[/* c */]}"sv,
    "{\"hyperdrive\":[// c\n]}"sv,
    "{\"hyperdrive\":[ /* c */ {\"binding\":\"A\",\"id\":\"1\"}]}"sv,
    "{\"hyperdrive\": /* c */ [ {\"binding\":\"A\",\"id\":\"1\"} ]}"sv,
    "{\"hyperdrive\" : [\n\n]}"sv,
    "{ \"hyperdrive\":[\n  ], \"b\":1}"sv,
    "{\"b\":1,\"hyperdrive\":[{\"binding\":\"A\",\"id\":\"1\"}]// c\n}"sv,
    "{\"hyperdrive\":[{\"binding\":\"A\",\"id\":\"1\"},\n\n\n{\"binding\":\"B\",\"id\":\"2\"}]}"sv,
    "{\n    \"hyperdrive\": [{\n        \"binding\": \"A\",\n        \"id\": \"1\"\n    }, {\n        \"binding\": \"B\",\n        \"id\": \"2\"\n    }]\n}\n"sv,
    "{\n  \"hyperdrive\":\n  [\n    {\"binding\": \"A\", \"id\": \"1\"}\n   ,{\"binding\": \"B\", \"id\": \"2\"}\n  ]\n}\n"sv,
    "{\"a\":1"sv,
    "{\"a\":[1,2}"sv,
    "{\"a\":1]"sv,
    "{\"hyperdrive\":[{\"binding\":\"A\",\"id\":\"1\"}"sv,
    "{\"a\" 1}"sv,
    "{\"a\":1;}"sv,
    "{a:1}"sv,
    "{\"a\":undefined}"sv,
    "{\"a\":1}{}"sv,
    "{\"a\":1}[]"sv,
    "// {\"a\":1}"sv,
    "/* {\"a\":1}"sv,
    "{\"a\":\""sv,
    "{\"a\":\"\n\"}"sv,
    "{\"a\":\"\t\"}"sv,
    "{\"a\":'x'}"sv,
    "{\"a\":\"\\u00zz\"}"sv,
    "{\"a\":1,,\"b\":2}"sv,
    "{,\"a\":1}"sv,
    "{\"a\":--1}"sv,
    "{\"a\":00}"sv,
    "{\"a\":1.e3}"sv,
    "{\"a\":e3}"sv,
    "{\"a\":truefalse}"sv,
    "{\"a\":TRUE}"sv,
    "{\"a\":1 /* }"sv,
    "\000"sv,
    "{\"a\":1}\357\273\277"sv,
    "\357\273\277\357\273\277{}"sv,
    "{\"a\":/}"sv,
    "{\"a\":1}//\000"sv,
    "{\013}"sv,
    "{\014}"sv,
    "{\"a\":1\342\200\250}"sv,
    "[{\"hyperdrive\":[]}]"sv,
    "{\"hyperdrive\":[{\"binding\":1,\"id\":\"1\"}]}"sv,
    "{\"hyperdrive\":[{\"binding\":\"A\",\"id\":1}]}"sv,
    "{\"hyperdrive\":[{\"binding\":\"\",\"id\":\"1\"}]}"sv,
};
// clang-format on

bool has(const Reading& reading, std::string_view environment, std::string_view name) {
  for (const Binding& binding : reading.bindings) {
    if (binding.environment == environment && binding.name == name) return true;
  }
  return false;
}

void check(std::string_view text, Format format, std::string_view environment,
           std::string_view name) {
  INFO(text);
  const Target target{"file", environment};
  const auto before = read_bindings(text, format, "file");
  const auto bound = hyperdrive::core::wrangler::bind(text, format, target, name, "0123");
  if (!before) {
    CHECK(std::regex_search(before.error().message, std::regex("^file:[0-9]+:[0-9]+: ")));
    REQUIRE_FALSE(bound);
    return;
  }
  if (!bound) return;  // a shape that wrangler refuses as well
  const auto after = read_bindings(*bound, format, "file");
  REQUIRE(after);
  CHECK(has(*after, environment, name));
  CHECK(after->bindings.size() ==
        before->bindings.size() + (has(*before, environment, name) ? 0 : 1));
  const auto undone = unbind(*bound, format, target, name);
  REQUIRE(undone);
  if (!has(*before, environment, name)) CHECK(*undone == text);
}

}  // namespace

TEST_CASE("nasty files come back byte for byte, and broken ones name the place") {
  for (const std::string_view environment : {""sv, "staging"sv}) {
    for (const std::string_view name : {"HYPERDRIVE"sv, "B"sv}) {
      for (const std::string_view text : kToml) check(text, Format::kToml, environment, name);
      for (const std::string_view text : kJsonc) check(text, Format::kJsonc, environment, name);
    }
  }
}
