#include "core/registry/registry.hpp"

#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>
#include <set>

#include "core/base/file.hpp"
#include "scratch.hpp"

using namespace hyperdrive::core;

namespace {

Registry opened(const Home& home) {
  auto registry = Registry::open(home);
  INFO((registry ? "" : registry.error().message));
  REQUIRE(registry);
  return std::move(*registry);
}

void run_sql(const Home& home, const std::string& sql) {
  sqlite3* database = nullptr;
  REQUIRE(sqlite3_open(home.registry().c_str(), &database) == SQLITE_OK);
  char* message = nullptr;
  const int done = sqlite3_exec(database, sql.c_str(), nullptr, nullptr, &message);
  INFO((message ? message : ""));
  sqlite3_free(message);
  sqlite3_close(database);
  REQUIRE(done == SQLITE_OK);
}

std::string bytes_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

TEST_CASE("a created config comes back by id and by name, without its secrets") {
  Scratch scratch;
  Registry registry = opened(scratch.home());
  Config config = sample("shop");
  config.origin.application_name = "app";
  config.tls.mode = SslMode::kVerifyFull;
  config.caching.max_age = 0;
  config.local.cache_rules = {CacheRule{"orders", 5, std::nullopt, false}};
  config.local.fold_begin = true;
  const auto created = registry.create(config);
  REQUIRE(created);
  CHECK(created->id.size() == 32);
  CHECK(created->local.local_port >= 15432);
  CHECK(created->local.local_password.reveal().size() == 24);
  for (const std::string& key : {created->id, std::string("shop")}) {
    const auto found = registry.find(key);
    REQUIRE(found);
    CHECK(found->id == created->id);
    CHECK(found->origin.password.empty());
    CHECK(found->local.local_password.empty());
    CHECK(found->origin.application_name == "app");
    CHECK(found->tls.mode == SslMode::kVerifyFull);
    CHECK(found->caching.max_age == 0);
    CHECK_FALSE(found->caching.stale_while_revalidate.has_value());
    REQUIRE(found->local.cache_rules.size() == 1);
    CHECK(found->local.cache_rules[0].max_age == 5);
    CHECK(found->local.fold_begin);
    CHECK(found->local.local_port == created->local.local_port);
  }
  const auto launch = registry.launch("shop");
  REQUIRE(launch);
  CHECK(launch->config.origin.password.reveal() == "pass-shop");
  CHECK(launch->config.local.local_password == created->local.local_password);
}

TEST_CASE("a second config of one name is refused with code 2017") {
  Scratch scratch;
  Registry registry = opened(scratch.home());
  REQUIRE(registry.create(sample("a")));
  const auto again = registry.create(sample("a"));
  REQUIRE_FALSE(again);
  CHECK(again.error().code == code::kNameTaken);
  REQUIRE(registry.create(sample("b")));
  const auto renamed = registry.update("b", [](Config& config) -> Result<void> {
    config.name = "a";
    return {};
  });
  REQUIRE_FALSE(renamed);
  CHECK(renamed.error().code == code::kNameTaken);
  CHECK(registry.list()->size() == 2);
}

TEST_CASE("an unknown name is 2006 and names what is near") {
  Scratch scratch;
  Registry registry = opened(scratch.home());
  REQUIRE(registry.create(sample("prod-db")));
  const auto missing = registry.find("prdo-db");
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code == code::kNoSuchConfig);
  CHECK(missing.error().hint.find("'prod-db'") != std::string::npos);
  CHECK_FALSE(registry.remove("nothing-like-it"));
  CHECK(registry.look_up("prdo-db")->has_value() == false);
}

TEST_CASE("a name that looks like an id is found, and an exact id wins over it") {
  Scratch scratch;
  Registry registry = opened(scratch.home());
  const auto first = registry.create(sample("first"));
  REQUIRE(first);
  Config trap = sample(first->id);
  const auto second = registry.create(trap);
  REQUIRE(second);
  CHECK(registry.find(first->id)->name == "first");
  CHECK(registry.find(second->id)->id == second->id);
  Config lone = sample("0123456789abcdef0123456789abcdef");
  REQUIRE(registry.create(lone));
  CHECK(registry.find("0123456789abcdef0123456789abcdef")->name == lone.name);
}

TEST_CASE("local ports are distinct, kept over updates, and not another config's") {
  Scratch scratch;
  Registry registry = opened(scratch.home());
  std::set<int> ports;
  for (int i = 0; i < 20; ++i)
    ports.insert(registry.create(sample("c" + std::to_string(i)))->local.local_port);
  CHECK(ports.size() == 20);
  const int before = registry.find("c3")->local.local_port;
  REQUIRE(registry.update("c3", [](Config& config) -> Result<void> {
    config.origin_connection_limit = 7;
    return {};
  }));
  CHECK(registry.find("c3")->local.local_port == before);
  const auto stolen = registry.update("c4", [&](Config& config) -> Result<void> {
    config.local.local_port = static_cast<std::uint16_t>(before);
    return {};
  });
  REQUIRE_FALSE(stolen);
  CHECK(stolen.error().message.find("'c3'") != std::string::npos);
}

TEST_CASE("an update re-seals, so that the password follows the new host") {
  Scratch scratch;
  Registry registry = opened(scratch.home());
  REQUIRE(registry.create(sample("shop")));
  REQUIRE(registry.update("shop", [](Config& config) -> Result<void> {
    CHECK(config.origin.password.reveal() == "pass-shop");
    config.origin.host = "other.example.com";
    return {};
  }));
  CHECK(registry.launch("shop")->config.origin.password.reveal() == "pass-shop");
}

TEST_CASE("an edited row is reported and its password not used, until it is given anew") {
  Scratch scratch;
  const char* column = GENERATE("host = 'evil.example.com'", "port = 1", "user = 'root'",
                                "database = 'x'", "sslmode = 'disable'", "scheme = 'mysql'",
                                "ca_certificate_id = 'c'", "mtls_certificate_id = 'm'");
  Registry registry = opened(scratch.home());
  REQUIRE(registry.create(sample("shop")));
  run_sql(scratch.home(), std::string("UPDATE configs SET ") + column);
  CHECK(registry.find("shop"));
  const auto launch = registry.launch("shop");
  REQUIRE_FALSE(launch);
  CHECK(launch.error().message.find("altered") != std::string::npos);
  const auto idle = registry.update("shop", [](Config&) -> Result<void> { return {}; });
  CHECK_FALSE(idle);
  REQUIRE(registry.update("shop", [](Config& config) -> Result<void> {
    CHECK(config.origin.password.empty());
    config.origin.password = Secret("new");
    config.tls.ca_certificate_id.clear();
    config.tls.mtls_certificate_id.clear();
    return {};
  }));
  CHECK(registry.launch("shop")->config.origin.password.reveal() == "new");
}

TEST_CASE("a sealed password cannot be moved to another row") {
  Scratch scratch;
  Registry registry = opened(scratch.home());
  REQUIRE(registry.create(sample("a")));
  REQUIRE(registry.create(sample("b")));
  run_sql(scratch.home(),
          "UPDATE configs SET password = (SELECT password FROM configs WHERE name = 'a') "
          "WHERE name = 'b'");
  CHECK(registry.launch("a"));
  CHECK_FALSE(registry.launch("b"));
}

TEST_CASE("no file of the registry holds a password, and only the owner may read them") {
  Scratch scratch;
  {
    Registry registry = opened(scratch.home());
    Config config = sample("shop");
    config.origin.password = Secret("Sup3r-s3cret-origin");
    REQUIRE(registry.create(config));
  }
  struct stat status;
  REQUIRE(::stat(scratch.home().folder.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0700);
  for (const auto& entry : std::filesystem::directory_iterator(scratch.home().folder)) {
    REQUIRE(::stat(entry.path().c_str(), &status) == 0);
    CHECK((status.st_mode & 0077) == 0);
    CHECK(bytes_of(entry.path()).find("Sup3r") == std::string::npos);
  }
}

TEST_CASE("without the key nothing opens, but configs can still be listed") {
  Scratch scratch;
  REQUIRE(opened(scratch.home()).create(sample("shop")));
  std::filesystem::remove(scratch.home().key());
  Registry registry = opened(scratch.home());
  CHECK(registry.list()->size() == 1);
  const auto launch = registry.launch("shop");
  REQUIRE_FALSE(launch);
  CHECK(launch.error().message.find("missing") != std::string::npos);
}

TEST_CASE("a failing edit or an abandoned transaction leaves everything as it was") {
  Scratch scratch;
  Registry registry = opened(scratch.home());
  REQUIRE(registry.create(sample("a")));
  CHECK_FALSE(registry.update("a", [](Config& config) -> Result<void> {
    config.origin.host = "elsewhere";
    return fail("no");
  }));
  CHECK(registry.find("a")->origin.host == "db.example.com");
  const auto all = registry.atomically([&]() -> Result<void> {
    REQUIRE(registry.create(sample("b")));
    REQUIRE(registry.remove("a"));
    return fail("changed my mind");
  });
  CHECK_FALSE(all);
  CHECK(registry.find("a"));
  CHECK_FALSE(registry.find("b"));
  REQUIRE(registry.atomically([&]() -> Result<void> {
    REQUIRE(registry.create(sample("b")));
    REQUIRE(registry.remove("a"));
    return {};
  }));
  CHECK_FALSE(registry.find("a"));
  CHECK(registry.find("b"));
}

TEST_CASE("a registry of a newer version is refused and left byte for byte as it was") {
  Scratch scratch;
  REQUIRE(opened(scratch.home()).create(sample("shop")));
  run_sql(scratch.home(), "PRAGMA wal_checkpoint(TRUNCATE); PRAGMA user_version = 9;");
  const std::string before = bytes_of(scratch.home().registry());
  const auto registry = Registry::open(scratch.home());
  REQUIRE_FALSE(registry);
  CHECK(registry.error().message.find("newer version") != std::string::npos);
  CHECK(bytes_of(scratch.home().registry()) == before);
}

TEST_CASE("a file that is no database is reported as damaged and left alone") {
  Scratch scratch;
  std::filesystem::create_directories(scratch.home().folder);
  const std::string text(5000, 'x');
  std::ofstream(scratch.home().registry()) << text;
  const auto registry = Registry::open(scratch.home());
  REQUIRE_FALSE(registry);
  CHECK(registry.error().message.find("damaged") != std::string::npos);
  CHECK(bytes_of(scratch.home().registry()) == text);
}

TEST_CASE("damage inside the file is an error of the command that meets it, not a crash") {
  Scratch scratch;
  {
    Registry registry = opened(scratch.home());
    for (int i = 0; i < 50; ++i) REQUIRE(registry.create(sample("c" + std::to_string(i))));
  }
  run_sql(scratch.home(), "PRAGMA wal_checkpoint(TRUNCATE);");
  {
    std::fstream file(scratch.home().registry(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(4096);
    for (int i = 0; i < 4096 * 4; ++i) file.put('\x5a');
  }
  auto registry = Registry::open(scratch.home());
  const bool listed = registry && registry->list();
  CHECK_FALSE(listed);
}

TEST_CASE("a folder in the way of the registry is an error that names it") {
  Scratch scratch;
  std::ofstream(scratch.folder() / "home") << "a file";
  const auto registry = Registry::open(scratch.home());
  REQUIRE_FALSE(registry);
  CHECK(registry.error().message.find("is not a folder") != std::string::npos);
}

TEST_CASE("remote ids lead to their config") {
  Scratch scratch;
  Registry registry = opened(scratch.home());
  Config config = sample("pushed");
  config.remote_id = "ffffffffffffffffffffffffffffffff";
  REQUIRE(registry.create(config));
  REQUIRE(registry.create(sample("local")));
  CHECK(registry.find_remote(config.remote_id)->value().name == "pushed");
  CHECK(registry.find(config.remote_id)->name == "pushed");
  CHECK_FALSE(registry.find_remote("")->has_value());
}

TEST_CASE("names complete by prefix") {
  Scratch scratch;
  Registry registry = opened(scratch.home());
  for (const char* name : {"alpha", "alto", "beta", "al%"}) REQUIRE(registry.create(sample(name)));
  CHECK(registry.names_starting_with("al") == std::vector<std::string>{"al%", "alpha", "alto"});
  CHECK(registry.names_starting_with("al%") == std::vector<std::string>{"al%"});
  CHECK(registry.names_starting_with("").size() == 4);
}

TEST_CASE("certificates are kept with a sealed key, resolved, and not deleted while in use") {
  Scratch scratch;
  Registry registry = opened(scratch.home());
  Certificate ca{"", "my-ca", true, "CA PEM", Secret(), "CN=x", "1", "sha256", "2030", ""};
  Certificate client{"",     "me", false, "CLIENT PEM", Secret("KEY PEM"),
                     "CN=x", "2",  "s",   "2030",       ""};
  const auto stored_ca = registry.add_certificate(ca);
  const auto stored_client = registry.add_certificate(client);
  REQUIRE(stored_ca);
  REQUIRE(stored_client);
  CHECK(stored_ca->id.size() == 36);
  CHECK_FALSE(registry.add_certificate(ca));
  Config config = sample("tls");
  config.tls.ca_certificate_id = stored_ca->id;
  config.tls.mtls_certificate_id = stored_client->id;
  REQUIRE(registry.create(config));
  const auto launch = registry.launch("tls");
  REQUIRE(launch);
  CHECK(launch->certificates.ca_pem == "CA PEM");
  CHECK(launch->certificates.client_pem == "CLIENT PEM");
  CHECK(launch->certificates.client_key_pem.reveal() == "KEY PEM");
  const auto refused = registry.remove_certificate("my-ca");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message.find("'tls'") != std::string::npos);
  REQUIRE(registry.remove("tls"));
  REQUIRE(registry.remove_certificate("my-ca"));
  CHECK(registry.list_certificates()->size() == 1);
  CHECK_FALSE(registry.find_certificate("my-ca"));
}

TEST_CASE("rows are read one after another, and none keeps what the one before had") {
  Scratch scratch;
  Registry registry = opened(scratch.home());
  Config full = sample("full");
  full.origin.application_name = "app";
  full.tls.mode = SslMode::kVerifyFull;
  full.caching.max_age = 7;
  full.caching.stale_while_revalidate = 8;
  full.local.workers = 3;
  full.local.cache_rules = {CacheRule{"orders", 5, std::nullopt, false}};
  REQUIRE(registry.create(full));
  REQUIRE(registry.create(sample("plain")));
  const auto configs = registry.list();
  REQUIRE(configs);
  REQUIRE(configs->size() == 2);
  CHECK(configs->front().local.workers == 3);
  const Config& plain = configs->back();
  CHECK(plain.origin.application_name.empty());
  CHECK(plain.tls.mode == sample("plain").tls.mode);
  CHECK_FALSE(plain.caching.max_age);
  CHECK_FALSE(plain.caching.stale_while_revalidate);
  CHECK(plain.local.workers == 0);
  CHECK(plain.local.cache_rules.empty());
}

TEST_CASE("ports that configs have are passed over") {
  Scratch scratch;
  Registry registry = opened(scratch.home());
  for (const int port : {20'000, 20'001, 20'002, 20'004}) {
    Config config = sample("c" + std::to_string(port));
    config.local.local_port = static_cast<std::uint16_t>(port);
    REQUIRE(registry.create(config));
  }
  CHECK(registry.local_port_above(19'000) == 19'001);
  CHECK(registry.local_port_above(19'999) == 20'003);
  CHECK(registry.local_port_above(20'003) == 20'005);
  REQUIRE(registry.on_local_port(20'004));
  CHECK((*registry.on_local_port(20'004))->name == "c20004");
  CHECK_FALSE(*registry.on_local_port(20'003));
  CHECK(registry.count() == 4u);
  CHECK(registry.sample(10)->size() == 4);
  CHECK(registry.sample(2)->size() == 2);
  CHECK(registry.sample(3)->size() <= 3);
}
