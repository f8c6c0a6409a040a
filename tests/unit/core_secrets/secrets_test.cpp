#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <set>

#include "core/base/file.hpp"
#include "core/secrets/random.hpp"
#include "core/secrets/seal.hpp"

using namespace hyperdrive::core;

namespace {

struct Scratch {
  std::filesystem::path folder;
  Scratch() {
    std::string name = (std::filesystem::temp_directory_path() / "hd-unit-XXXXXX").string();
    folder = ::mkdtemp(name.data());
  }
  ~Scratch() { std::filesystem::remove_all(folder); }
  Home home() const { return Home{folder / "home"}; }
};

Config sample() {
  Config config;
  config.id = "0123456789abcdef0123456789abcdef";
  config.origin.host = "h";
  config.origin.port = 1;
  config.origin.user = "u";
  config.origin.database = "d";
  return config;
}

}  // namespace

TEST_CASE("what is sealed opens again, and two seals of one secret differ") {
  Scratch scratch;
  const auto sealer = Sealer::open_or_create(scratch.home());
  REQUIRE(sealer);
  for (const std::string& text :
       {std::string("secret"), std::string(1, '\0'), std::string(10'000, 'x')}) {
    const auto a = sealer->seal(Secret(text), "data");
    const auto b = sealer->seal(Secret(text), "data");
    REQUIRE(a);
    REQUIRE(b);
    CHECK(*a != *b);
    CHECK(a->find("secret") == std::string::npos);
    CHECK(sealer->unseal(*a, "data")->reveal() == text);
  }
}

TEST_CASE("any altered bit of the blob, other associated data or another key: it does not open") {
  Scratch scratch;
  const auto sealer = Sealer::open_or_create(scratch.home());
  const std::string blob = *sealer->seal(Secret("secret"), "data");
  for (std::size_t i = 0; i < blob.size() * 8; ++i) {
    std::string altered = blob;
    altered[i / 8] = static_cast<char>(altered[i / 8] ^ (1 << (i % 8)));
    CHECK_FALSE(sealer->unseal(altered, "data"));
  }
  CHECK_FALSE(sealer->unseal(blob, "Data"));
  CHECK_FALSE(sealer->unseal(blob, ""));
  for (std::size_t length = 0; length < blob.size(); ++length)
    CHECK_FALSE(sealer->unseal(blob.substr(0, length), "data"));
  Scratch other;
  CHECK_FALSE(Sealer::open_or_create(other.home())->unseal(blob, "data"));
}

TEST_CASE("the associated data tells configs apart by everything that says where a password goes") {
  const Config base = sample();
  std::set<std::string> all = {associated_data(base, "origin"), associated_data(base, "local")};
  const auto changed = [&](auto&& change) {
    Config config = base;
    change(config);
    CHECK(all.insert(associated_data(config, "origin")).second);
  };
  changed([](Config& c) { c.id[0] = 'f'; });
  changed([](Config& c) { c.origin.scheme = Scheme::kMysql; });
  changed([](Config& c) { c.origin.host = "h2"; });
  changed([](Config& c) { c.origin.port = 2; });
  changed([](Config& c) { c.origin.user = "ud"; });
  changed([](Config& c) { c.origin.database = "d2"; });
  changed([](Config& c) { c.tls.mode = SslMode::kDisable; });
  changed([](Config& c) { c.tls.ca_certificate_id = "x"; });
  changed([](Config& c) { c.tls.mtls_certificate_id = "x"; });
  changed([](Config& c) { c.origin.host = "h\n1:1"; });
  Config name = base;
  name.name = "renamed";
  CHECK(associated_data(name, "origin") == associated_data(base, "origin"));
}

TEST_CASE("the key file is made once, for the owner only, also by many processes at once") {
  Scratch scratch;
  std::vector<pid_t> processes;
  int pipe[2];
  REQUIRE(::pipe(pipe) == 0);
  for (int i = 0; i < 8; ++i) {
    const pid_t pid = ::fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
      const auto sealer = Sealer::open_or_create(scratch.home());
      if (!sealer) ::_exit(1);
      const auto blob = sealer->seal(Secret("from a child"), "data");
      const auto length = static_cast<unsigned char>(blob->size());
      const std::string message = std::string(1, static_cast<char>(length)) + *blob;
      ::_exit(::write(pipe[1], message.data(), message.size()) ==
                      static_cast<ssize_t>(message.size())
                  ? 0
                  : 2);
    }
    processes.push_back(pid);
  }
  ::close(pipe[1]);
  for (const pid_t pid : processes) {
    int status = 0;
    ::waitpid(pid, &status, 0);
    CHECK(status == 0);
  }
  const auto sealer = Sealer::open(scratch.home());
  REQUIRE(sealer);
  int opened = 0;
  unsigned char length = 0;
  while (::read(pipe[0], &length, 1) == 1) {
    std::string blob(length, '\0');
    REQUIRE(::read(pipe[0], blob.data(), length) == length);
    CHECK(sealer->unseal(blob, "data")->reveal() == "from a child");
    ++opened;
  }
  ::close(pipe[0]);
  CHECK(opened == 8);
  struct stat status;
  REQUIRE(::stat(scratch.home().key().c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
  CHECK(std::distance(std::filesystem::directory_iterator(scratch.home().folder), {}) == 1);
}

TEST_CASE("a missing or damaged key is reported, never replaced") {
  Scratch scratch;
  CHECK_FALSE(Sealer::open(scratch.home()));
  REQUIRE(Sealer::open_or_create(scratch.home()));
  std::ofstream(scratch.home().key()) << "half a key";
  const auto damaged = Sealer::open_or_create(scratch.home());
  REQUIRE_FALSE(damaged);
  CHECK(damaged.error().message.find("damaged") != std::string::npos);
  CHECK(damaged.error().message.find("half a key") == std::string::npos);
  CHECK(*read_file(scratch.home().key()) == "half a key");
}

TEST_CASE("HYPERDRIVE_KEY replaces the file") {
  Scratch scratch;
  ::setenv("HYPERDRIVE_KEY", "a passphrase of many words", 1);
  const auto sealer = Sealer::open_or_create(scratch.home());
  REQUIRE(sealer);
  CHECK_FALSE(std::filesystem::exists(scratch.home().key()));
  const auto blob = sealer->seal(Secret("x"), "data");
  CHECK(Sealer::open(scratch.home())->unseal(*blob, "data"));
  ::setenv("HYPERDRIVE_KEY", std::string(64, 'a').c_str(), 1);
  CHECK_FALSE(Sealer::open(scratch.home())->unseal(*blob, "data"));
  ::setenv("HYPERDRIVE_KEY", "short", 1);
  CHECK_FALSE(Sealer::open(scratch.home()));
  ::unsetenv("HYPERDRIVE_KEY");
}

TEST_CASE("random names have their shapes and do not repeat") {
  std::set<std::string> seen;
  for (int i = 0; i < 200; ++i) {
    const std::string id = random_id();
    CHECK(id.size() == 32);
    CHECK(id.find_first_not_of("0123456789abcdef") == std::string::npos);
    CHECK(seen.insert(id).second);
    const std::string uuid = random_uuid();
    CHECK(uuid.size() == 36);
    CHECK(uuid[14] == '4');
    CHECK(seen.insert(uuid).second);
    const Secret password = random_password();
    CHECK(password.reveal().size() == 24);
    CHECK(password.reveal().find_first_not_of(
              "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") ==
          std::string_view::npos);
    CHECK(seen.insert(std::string(password.reveal())).second);
  }
}
