#include "proxy/server/log_file.hpp"

#include <spdlog/logger.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>

namespace hyperdrive::tests {
namespace {

using proxy::server::LogFile;
namespace fs = std::filesystem;

struct Folder {
  Folder() {
    char name[] = "/tmp/hd-log-XXXXXX";
    path = ::mkdtemp(name);
  }
  ~Folder() { fs::remove_all(path); }
  std::string log() const { return path + "/log"; }
  std::string path;
};

std::string content(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

std::unique_ptr<spdlog::logger> logger_of(const std::shared_ptr<LogFile>& file) {
  auto logger = std::make_unique<spdlog::logger>("test", file);
  logger->set_pattern("%v");
  return logger;
}

/// Files of this process may not grow beyond this size, as on a full disk.
struct FullDisk {
  explicit FullDisk(rlim_t size) {
    ::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before);
    const rlimit small{size, before.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &small);
  }
  ~FullDisk() { ::setrlimit(RLIMIT_FSIZE, &before); }
  rlimit before{};
};

}  // namespace

TEST_CASE("a log is private and is appended to") {
  const Folder folder;
  {
    auto file = std::make_shared<LogFile>(folder.log());
    logger_of(file)->info("one");
  }
  auto file = std::make_shared<LogFile>(folder.log());
  logger_of(file)->info("two");
  CHECK(content(folder.log()) == "one\ntwo\n");
  struct stat status {};
  ::stat(folder.log().c_str(), &status);
  CHECK((status.st_mode & 0777) == 0600);
}

TEST_CASE("a flood of lines fills two files and no more") {
  const Folder folder;
  auto file = std::make_shared<LogFile>(folder.log(), 1000);
  auto logger = logger_of(file);
  for (int i = 0; i < 1000; ++i) logger->info("line {}", i);
  CHECK(content(folder.log()).ends_with("line 999\n"));
  std::size_t files = 0;
  for (const auto& entry : fs::directory_iterator(folder.path)) {
    ++files;
    CHECK(fs::file_size(entry) <= 1000);
  }
  CHECK(files == 2);
}

TEST_CASE("a full disk costs lines, tells how many, and nothing else") {
  const Folder folder;
  auto file = std::make_shared<LogFile>(folder.log());
  auto logger = logger_of(file);
  logger->info("before");
  {
    const FullDisk full(7);
    for (int i = 0; i < 5; ++i) logger->info("lost");
  }
  logger->info("after");
  CHECK(content(folder.log()) == "before\n(5 lines could not be written)\nafter\n");
}

TEST_CASE("a log that was renamed by others goes on under its own name after reopen()") {
  const Folder folder;
  auto file = std::make_shared<LogFile>(folder.log());
  auto logger = logger_of(file);
  logger->info("old");
  fs::rename(folder.log(), folder.log() + ".old");
  logger->info("still old");
  file->reopen();
  logger->info("new");
  CHECK(content(folder.log() + ".old") == "old\nstill old\n");
  CHECK(content(folder.log()) == "new\n");
}

TEST_CASE("two writers of one log do not move each other's file away") {
  const Folder folder;
  auto first = std::make_shared<LogFile>(folder.log(), 100);
  auto second = std::make_shared<LogFile>(folder.log(), 100);
  auto a = logger_of(first), b = logger_of(second);
  for (int i = 0; i < 9; ++i) a->info("0123456789");
  a->info("0123456789");  // a new file
  const std::string moved = content(folder.log() + ".1");
  for (int i = 0; i < 9; ++i) b->info("b");
  b->info(std::string(90, 'b'));  // finds it
  CHECK(content(folder.log() + ".1").starts_with(moved));
  CHECK(content(folder.log()).find("0123456789") == 0);
  CHECK(content(folder.log()).ends_with("bbb\n"));
}

TEST_CASE("a path that cannot be opened is said so") {
  CHECK_FALSE(LogFile("/nowhere/at/all/log").is_open());
}

}  // namespace hyperdrive::tests
