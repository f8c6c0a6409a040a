#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <optional>
#include <thread>

#include "core/base/file.hpp"
#include "core/base/handover.hpp"
#include "core/base/home.hpp"
#include "core/base/secret.hpp"
#include "core/base/time.hpp"

using namespace hyperdrive::core;

namespace {

struct Scratch {
  std::filesystem::path folder;
  Scratch() {
    std::string name = (std::filesystem::temp_directory_path() / "hd-unit-XXXXXX").string();
    folder = ::mkdtemp(name.data());
  }
  ~Scratch() { std::filesystem::remove_all(folder); }
};

/// Sets one variable for a test and puts it back.
struct Variable {
  std::string name;
  std::optional<std::string> before;
  Variable(const char* variable, const char* value) : name(variable) {
    if (const char* old = std::getenv(variable)) before = old;
    if (value)
      ::setenv(variable, value, 1);
    else
      ::unsetenv(variable);
  }
  ~Variable() {
    if (before)
      ::setenv(name.c_str(), before->c_str(), 1);
    else
      ::unsetenv(name.c_str());
  }
};

}  // namespace

TEST_CASE("the home folder: HYPERDRIVE_HOME, then XDG_DATA_HOME, then ~/.local/share") {
  Variable home("HYPERDRIVE_HOME", "/a/b/");
  Variable xdg("XDG_DATA_HOME", "/x");
  Variable user("HOME", "/home/me");
  CHECK(locate_home()->folder == "/a/b");
  ::setenv("HYPERDRIVE_HOME", "relative", 1);
  CHECK(locate_home()->folder == std::filesystem::current_path() / "relative");
  ::setenv("HYPERDRIVE_HOME", "", 1);
  CHECK(locate_home()->folder == "/x/hyperdrive");
  ::setenv("XDG_DATA_HOME", "not/absolute", 1);
  CHECK(locate_home()->folder == "/home/me/.local/share/hyperdrive");
  ::setenv("HOME", "odd", 1);
  CHECK_FALSE(locate_home());
}

TEST_CASE("folders are made for the owner only, with their parents") {
  Scratch scratch;
  const auto folder = scratch.folder / "a" / "b";
  REQUIRE(ensure_folder(folder));
  REQUIRE(ensure_folder(folder));
  struct stat status;
  for (const auto& path : {folder, scratch.folder / "a"}) {
    REQUIRE(::stat(path.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0700);
  }
  std::ofstream(scratch.folder / "file");
  const auto blocked = ensure_folder(scratch.folder / "file" / "c");
  REQUIRE_FALSE(blocked);
  CHECK(blocked.error().message.find("is not a folder") != std::string::npos);
}

TEST_CASE("files are replaced whole, with mode 0600, and nothing is left beside them") {
  Scratch scratch;
  const auto path = scratch.folder / "state.json";
  REQUIRE(write_file_atomically(path, "one"));
  REQUIRE(write_file_atomically(path, "two"));
  CHECK(*read_file(path) == "two");
  struct stat status;
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
  CHECK(std::distance(std::filesystem::directory_iterator(scratch.folder), {}) == 1);
  CHECK_FALSE(write_file_atomically(scratch.folder / "none" / "x", "y"));
  CHECK_FALSE(read_file(scratch.folder / "none"));
  CHECK_FALSE(read_file(path, 2));
}

TEST_CASE("a full disk is an error and leaves the old content") {
  // /dev/full answers every write with ENOSPC.
  Descriptor full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  REQUIRE(full);
  CHECK(write_all(full.get(), "x") == ENOSPC);
}

TEST_CASE("time is RFC 3339 with microseconds") {
  const std::string now = now_rfc3339();
  CHECK(now.size() == std::strlen("2026-01-02T03:04:05.678901Z"));
  CHECK(now[10] == 'T');
  CHECK(now[19] == '.');
  CHECK(now.back() == 'Z');
}

TEST_CASE("a moved-from secret holds nothing") {
  Secret a("password");
  const Secret b = std::move(a);
  CHECK(a.empty());
  CHECK(b.reveal() == "password");
}

TEST_CASE("listening sockets and the lock pass over a Unix socket and still work") {
  Scratch scratch;
  const std::string path = (scratch.folder / "s.hand").string();
  Descriptor server(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strcpy(address.sun_path, path.c_str());
  REQUIRE(::bind(server.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(::listen(server.get(), 1) == 0);
  int first[2], second[2];
  REQUIRE(::pipe(first) == 0);
  REQUIRE(::pipe(second) == 0);
  char announced = 0;
  std::optional<std::string> passed;
  std::thread old([&] {
    Descriptor peer(::accept(server.get(), nullptr, nullptr));
    const int listeners[] = {first[1], second[1]};
    (void)send_listeners(peer.get(), listeners, first[0]);
    (void)!::read(peer.get(), &announced, 1);
    char chunk[64];
    PassedCancels cancels;
    while (!passed) {
      // In pieces: a message need not come at once.
      const auto got = ::read(peer.get(), chunk, 2);
      if (got <= 0) break;
      cancels.add({chunk, static_cast<std::size_t>(got)});
      passed = cancels.next();
    }
  });
  auto handover = receive_listeners(path);
  REQUIRE(handover);
  CHECK(handover->listeners.size() == 2);
  REQUIRE(::write(handover->listeners[0].get(), "x", 1) == 1);
  char byte = 0;
  CHECK(::read(handover->lock.get(), &byte, 1) == 1);
  CHECK(byte == 'x');
  Predecessor predecessor(std::move(handover->connection));
  predecessor.cancel("too early");
  predecessor.announce_ready();
  predecessor.cancel("key");
  old.join();
  CHECK(announced == kHandoverReady);
  CHECK(passed == "key");
  predecessor.cancel("nobody is there any more");
  for (const int fd : {first[0], first[1], second[0], second[1]}) ::close(fd);
}

TEST_CASE("nobody at the hand-over socket, or one who sends nothing of use, is an error") {
  Scratch scratch;
  CHECK_FALSE(receive_listeners((scratch.folder / "none").string()));
  CHECK_FALSE(receive_listeners(std::string(200, 'x')));
  const std::string path = (scratch.folder / "s").string();
  Descriptor server(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strcpy(address.sun_path, path.c_str());
  REQUIRE(::bind(server.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(::listen(server.get(), 1) == 0);
  std::thread old([&] {
    Descriptor peer(::accept(server.get(), nullptr, nullptr));
    (void)!::write(peer.get(), "L", 1);
  });
  CHECK_FALSE(receive_listeners(path));
  old.join();
  CHECK_FALSE(send_listeners(server.get(), {}, 0));
}
