#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <thread>

#include "core/wrangler/dotenv.hpp"
#include "core/wrangler/edit.hpp"
#include "core/wrangler/file.hpp"
#include "core/wrangler/find.hpp"
#include "core/wrangler/snippet.hpp"

using namespace hyperdrive::core;
using namespace hyperdrive::core::wrangler;
namespace fs = std::filesystem;

namespace {

struct Folder {
  Folder() {
    std::string name = fs::temp_directory_path() / "hd-wrangler-XXXXXX";
    path = ::mkdtemp(name.data());
  }
  ~Folder() { fs::remove_all(path); }
  fs::path write(const fs::path& name, std::string_view text) const {
    fs::create_directories((path / name).parent_path());
    std::ofstream(path / name) << text;
    return path / name;
  }
  std::size_t entries() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(path), fs::directory_iterator()));
  }
  fs::path path;
};

}  // namespace

TEST_CASE("binding names become what wrangler makes of them") {
  CHECK(valid_binding_name("my-binding") == "my_binding");
  CHECK(valid_binding_name("1DB") == "_1DB");
  CHECK(valid_binding_name("my  - db") == "my_db");
  CHECK(valid_binding_name("d\xC3\xA9j\xC3\xA0\xC2\xA0vu") == "dj_vu");
  CHECK(valid_binding_name("--") == "HYPERDRIVE");
  CHECK(valid_binding_name("\xC3\xA9") == "HYPERDRIVE");
  CHECK(valid_binding_name("__DB__") == "_DB_");
  CHECK(valid_binding_name("HYPERDRIVE") == "HYPERDRIVE");
}

TEST_CASE("the snippet is wrangler's") {
  CHECK(snippet(Format::kJsonc, "HYPERDRIVE", "aa") ==
        "{\n  \"hyperdrive\": [\n    {\n      \"binding\": \"HYPERDRIVE\",\n      \"id\": \"aa\"\n"
        "    }\n  ]\n}");
  CHECK(snippet(Format::kToml, "HYPERDRIVE", "aa") ==
        "[[hyperdrive]]\nbinding = \"HYPERDRIVE\"\nid = \"aa\"\n");
  CHECK(snippet_heading("staging") ==
        "To access your new Hyperdrive Config in your Worker, add the following snippet to your "
        "configuration file in the \"staging\" environment:");
}

TEST_CASE("a wrangler.json far above wins over a wrangler.toml here, as in wrangler") {
  const Folder folder;
  folder.write("a/b/wrangler.toml", "");
  const auto found = [&] { return *find_config(folder.path / "a/b"); };
  CHECK(found() == folder.path / "a/b/wrangler.toml");
  folder.write("a/wrangler.jsonc", "{}");
  CHECK(found() == folder.path / "a/wrangler.jsonc");
  folder.write("wrangler.json", "{}");
  CHECK(found() == folder.path / "wrangler.json");
  CHECK(*find_config(folder.path, fs::path("a/wrangler.jsonc")) ==
        folder.path / "a/wrangler.jsonc");
  CHECK_FALSE(find_config(folder.path, fs::path("missing.toml")));
}

TEST_CASE("an edit keeps mode, link and folder, and leaves nothing behind") {
  const Folder folder;
  const fs::path file = folder.write("real.toml", "a = 1\n");
  fs::permissions(file, fs::perms(0640));
  fs::create_symlink("real.toml", folder.path / "wrangler.toml");
  const auto changed = edit_file(folder.path / "wrangler.toml", [](std::string_view text) {
    return Result<std::string>(std::string(text) + "b = 2\n");
  });
  REQUIRE(changed);
  CHECK(*changed);
  CHECK(fs::is_symlink(folder.path / "wrangler.toml"));
  CHECK(*read_file(file) == "a = 1\nb = 2\n");
  CHECK(fs::status(file).permissions() == fs::perms(0640));
  CHECK(folder.entries() == 2);
}

TEST_CASE("an edit takes away what a killed one left behind, and nothing else") {
  const Folder folder;
  const fs::path file = folder.write("wrangler.toml", "name = \"w\"\n");
  const pid_t dead = ::fork();
  if (dead == 0) ::_exit(0);
  REQUIRE(::waitpid(dead, nullptr, 0) == dead);
  const fs::path left = folder.write(fmt::format(".hyperdrive-new-{}-0", dead), "all of it");
  const fs::path others = folder.write(fmt::format(".hyperdrive-new-{}-1", ::getpid()), "now");
  const fs::path old = folder.write(fmt::format(".hyperdrive-{}-0", dead), "the old text");
  const fs::path own = folder.write(".hyperdrive-new-notes", "a user's");
  REQUIRE(edit_file(file, [](std::string_view text) {
    return Result<std::string>(std::string(text) + "# more\n");
  }));
  CHECK_FALSE(fs::exists(left));
  for (const fs::path& kept : {others, old, own}) CHECK(fs::exists(kept));
}

TEST_CASE("a failed edit changes nothing") {
  const Folder folder;
  const fs::path file = folder.write("wrangler.toml", "a = \n");
  const auto before = fs::last_write_time(file);
  CHECK_FALSE(edit_file(file, [](std::string_view text) {
    return bind(text, Format::kToml, {"wrangler.toml"}, "A", "1");
  }));
  CHECK(*read_file(file) == "a = \n");
  CHECK(fs::last_write_time(file) == before);
  CHECK(folder.entries() == 1);
}

TEST_CASE("a change by another program between reading and writing is not lost") {
  const Folder folder;
  const fs::path file = folder.write("wrangler.toml", "a = 1\n");
  int calls = 0;
  const auto changed = edit_file(file, [&](std::string_view text) {
    if (++calls == 1) folder.write("wrangler.toml", "a = 1\nother = 2\n");
    return Result<std::string>(std::string(text) + "b = 2\n");
  });
  REQUIRE(changed);
  CHECK(calls == 2);
  CHECK(*read_file(file) == "a = 1\nother = 2\nb = 2\n");
}

TEST_CASE("parallel edits all arrive") {
  const Folder folder;
  const fs::path file = folder.write("wrangler.toml", "name = \"demo\"\n");
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      const auto changed = edit_file(file, [&](std::string_view text) {
        return bind(text, Format::kToml, {"wrangler.toml"}, "B" + std::to_string(i), "1");
      });
      if (!changed || !*changed) std::abort();
    });
  }
  for (auto& thread : threads) thread.join();
  const auto reading = read_bindings(*read_file(file), Format::kToml, "wrangler.toml");
  REQUIRE(reading);
  CHECK(reading->bindings.size() == 8);
}

TEST_CASE("UTF-16 is refused") {
  const Folder folder;
  const fs::path file = folder.write("wrangler.toml", std::string_view("\xFF\xFE\x61\0", 4));
  CHECK_FALSE(read_file(file));
}

TEST_CASE(".env is read as dotenv reads it") {
  const auto v = parse_dotenv(
      "\xEF\xBB\xBF"
      "PLAIN=a b # c\n  export EXPORTED = x\nSINGLE='a # \\n b'\nDOUBLE=\"l1\\nl2\" # c\n"
      "MULTI=\"one\ntwo\"\nTICK=`it's \"x\"`\nYAML: y\n# NOT=1\nEMPTY=\nHASH=a#b\nA.B-c=1\n"
      "BROKEN=\"x\nAGAIN=1\r\nAGAIN=2\r\nno assignment\n");
  CHECK(v == Variables{{"PLAIN", "a b"},
                       {"EXPORTED", "x"},
                       {"SINGLE", "a # \\n b"},
                       {"DOUBLE", "l1\nl2"},
                       {"MULTI", "one\ntwo"},
                       {"TICK", "it's \"x\""},
                       {"YAML", "y"},
                       {"EMPTY", ""},
                       {"HASH", "a"},
                       {"A.B-c", "1"},
                       {"BROKEN", "\"x"},
                       {"AGAIN", "2"}});
}

TEST_CASE("writing .env changes the own keys in place, nothing else") {
  CHECK(
      set_dotenv("# mine\nA=1 # one\r\nexport B = \"x\" # two\nC=3", {{"B", "y z"}, {"A", "2"}}) ==
      "# mine\nA=2 # one\r\nexport B = \"y z\" # two\nC=3");
  CHECK(set_dotenv("A=1\n", {{"URL", "postgres://u:p@127.0.0.1:5432/d?x=y"}}) ==
        "A=1\nURL=postgres://u:p@127.0.0.1:5432/d?x=y\n");
  CHECK(set_dotenv("A=1", {{"B", "2"}}) == "A=1\nB=2");
  CHECK(set_dotenv("", {{"B", "it's # $x"}}) == "B=\"it's # $x\"\n");
  for (const char* value :
       {"plain", "a b", "#x", "it's", "\"q\"", "back\\slash", "x\ny", "`", ""}) {
    const auto written = set_dotenv("K=old\nL=1\n", {{"K", value}});
    CHECK(parse_dotenv(written) == Variables{{"K", value}, {"L", "1"}});
  }
}

TEST_CASE("variables of .env files expand, later files win") {
  const Folder folder;
  folder.write(".env", "A=1\nB=${A}-$A-${MISSING_:-d}-\\$A\n");
  folder.write(".env.local", "A=2\n");
  folder.write(".env.staging", "C=3\n");
  CHECK(load_dotenv(folder.path, "", {}) == Variables{{"A", "2"}, {"B", "2-2-d-$A"}});
  CHECK(load_dotenv(folder.path, "staging", {}).contains("C"));
  CHECK(load_dotenv(folder.path, "", {".env.staging", "missing"}) == Variables{{"C", "3"}});
}

TEST_CASE("nearby wrangler files are found, those of packages are not") {
  const Folder folder;
  folder.write("wrangler.toml", "");
  folder.write("apps/a/wrangler.jsonc", "{}");
  folder.write("node_modules/x/wrangler.toml", "");
  CHECK(nearby_configs(folder.path).size() == 2);
}

TEST_CASE("reading tells bindings, environments, and what wrangler would say") {
  const auto reading = read_bindings(
      R"({"name":"d","hyperdrive":[{"id":"a"},{"binding":"X"},{"binding":"Y","id":"z","foo":1}],
"env":{"b":{},"a":{"hyperdrive":[{"binding":"E","id":"e","localConnectionString":"l"}]}}})",
      Format::kJsonc, "wrangler.jsonc");
  REQUIRE(reading);
  CHECK(reading->environments == std::vector<std::string>{"b", "a"});
  CHECK(reading->problems ==
        std::vector<Problem>{
            {R"("hyperdrive[0]" bindings should have a string "binding" field but got {"id":"a"}.)",
             1},
            {R"("hyperdrive[1]" bindings must have a "id" field but got {"binding":"X"}.)", 1}});
  CHECK(reading->warnings ==
        std::vector<std::string>{R"(Unexpected fields found in hyperdrive[2] field: "foo")"});
  REQUIRE(reading->bindings.size() == 3);
  CHECK(reading->bindings[2].environment == "a");
  CHECK(reading->bindings[2].line == 2);
  CHECK(reading->bindings[2].local_connection_string == "l");
}

TEST_CASE("a problem names the line of what is wrong") {
  const auto lines = [](std::string_view text, Format format) {
    const auto reading = read_bindings(text, format, "x");
    REQUIRE(reading);
    std::vector<std::size_t> lines;
    for (const Problem& problem : reading->problems) lines.push_back(problem.line);
    return lines;
  };
  using Lines = std::vector<std::size_t>;
  const std::string binding = "binding = 'A'\nid = '1'\n";
  CHECK(lines("a = 1\nhyperdrive = 5\n", Format::kToml) == Lines{2});
  CHECK(lines("a = 1\n[hyperdrive]\n" + binding, Format::kToml) == Lines{2});
  CHECK(lines("[env.s]\n[env.s.hyperdrive]\n" + binding, Format::kToml) == Lines{2});
  CHECK(lines("[[hyperdrive]]\n" + binding + "[[hyperdrive]]\n" + binding, Format::kToml) ==
        Lines{4});
  CHECK(lines("[[env.s.hyperdrive]]\n" + binding + "[[env.s.hyperdrive]]\nid = '1'\n",
              Format::kToml) == Lines{4});
  CHECK(lines("{\n\"env\": {\"s\": {\n\"hyperdrive\": {}}}}", Format::kJsonc) == Lines{3});
  CHECK(lines("{\"hyperdrive\": [\n{\"binding\": \"A\", \"id\": \"1\"},\n5]}", Format::kJsonc) ==
        Lines{3});
}
