#include "proxy/net/sockets.hpp"

#include <sys/stat.h>

#include <array>
#include <filesystem>

#include "support.hpp"

using namespace hyperdrive::proxy::net;
using namespace hyperdrive::proxy::net::test;

TEST_CASE("the loopback listeners share one port and tell when it is taken") {
  const auto fds = open_loopback_listeners(0).value();
  REQUIRE_FALSE(fds.empty());
  const auto port = listening_port(fds.front()).value();
  CHECK(port != 0);
  for (const int fd : fds) {
    CHECK(listening_port(fd).value() == port);
    CHECK((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
  }
  const auto again = open_loopback_listeners(port);
  REQUIRE_FALSE(again);
  CHECK_THAT(again.error().message, Catch::Contains(std::to_string(port)));
  CHECK_FALSE(again.error().hint.empty());
  for (const int fd : fds) ::close(fd);
}

TEST_CASE("descriptors pass through a Unix socket that only its owner can use") {
  const auto folder =
      std::filesystem::temp_directory_path() / ("net-" + std::to_string(::getpid()));
  std::filesystem::create_directory(folder);
  const std::string path = folder / "pass.sock";
  const int listening = open_unix_listener(path).value();
  struct stat info {};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  const int sender = connect_unix(path).value();
  int receiver = -1;
  while ((receiver = ::accept4(listening, nullptr, nullptr, SOCK_CLOEXEC)) < 0) {
  }
  std::array<int, 2> pipe_ends{};
  REQUIRE(::pipe(pipe_ends.data()) == 0);
  REQUIRE(send_descriptors(sender, pipe_ends, "two ends"));
  const auto got = receive_descriptors(receiver).value();
  CHECK(got.payload == "two ends");
  REQUIRE(got.fds.size() == 2);
  CHECK((::fcntl(got.fds[0], F_GETFD) & FD_CLOEXEC) != 0);
  REQUIRE(::write(got.fds[1], "x", 1) == 1);
  char byte = 0;
  REQUIRE(::read(pipe_ends[0], &byte, 1) == 1);
  CHECK(byte == 'x');
  ::close(sender);
  CHECK_FALSE(receive_descriptors(receiver));
  for (const int fd : {listening, receiver, pipe_ends[0], pipe_ends[1], got.fds[0], got.fds[1]}) {
    ::close(fd);
  }
  std::filesystem::remove_all(folder);
}

TEST_CASE("a socket path that is too long is refused in words") {
  const auto refused = open_unix_listener("/tmp/" + std::string(120, 'x'));
  REQUIRE_FALSE(refused);
  CHECK_THAT(refused.error().message, Catch::Contains("107 bytes"));
}
