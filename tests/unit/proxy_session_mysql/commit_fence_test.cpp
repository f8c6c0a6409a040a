#include "proxy/session/mysql/commit_fence.hpp"

#include <catch2/catch.hpp>

#include "proxy/session/mysql/binlog_origin.hpp"

namespace hyperdrive::proxy::session::mysql {
namespace {

using wire::mysql::BinlogPosition;

std::vector<TextRow> committed(const std::string& file, std::uint64_t offset) {
  return {{"Binlog_snapshot_file", file}, {"Binlog_snapshot_position", std::to_string(offset)}};
}

CommitFence::Held held(std::uint64_t mark) {
  CommitFence::Held held;
  held.catalog_generation = mark;
  return held;
}

std::string marks(std::vector<CommitFence::Held> all) {
  std::string text;
  for (const auto& one : all) text += std::to_string(one.catalog_generation);
  return text;
}

TEST_CASE("a transaction passes when commits have come to its end") {
  CommitFence fence;
  fence.add({1, 100}, "", held(1));
  fence.add({1, 200}, "", held(2));
  fence.add({1, 300}, "", held(3));
  fence.answer(committed("binlog.000001", 50));
  CHECK(marks(fence.take_passed()) == "");
  fence.answer(committed("binlog.000001", 200));
  CHECK(marks(fence.take_passed()) == "12");
  fence.answer(committed("binlog.000001", 300));
  CHECK(marks(fence.take_passed()) == "3");
  CHECK(fence.empty());
}

TEST_CASE("a position that is no transaction's end proves nothing") {
  CommitFence fence;
  fence.add({2, 400}, "", held(1));
  // The old file's offset with the new file's name.
  fence.answer(committed("binlog.000002", 1 << 30));
  CHECK(marks(fence.take_passed()) == "");
  fence.add({2, 500}, "", held(2));
  CHECK(marks(fence.take_passed()) == "");
  fence.answer(committed("binlog.000002", 450));
  CHECK(marks(fence.take_passed()) == "");
}

TEST_CASE("a position ahead of the stream counts when the stream comes to it") {
  CommitFence fence;
  fence.add({1, 100}, "", held(1));
  fence.answer(committed("binlog.000001", 300));
  CHECK(marks(fence.take_passed()) == "");
  fence.add({1, 200}, "", held(2));
  CHECK(marks(fence.take_passed()) == "");
  fence.add({1, 300}, "", held(3));
  CHECK(marks(fence.take_passed()) == "123");
  fence.add({1, 400}, "", held(4));
  CHECK(marks(fence.take_passed()) == "");
}

TEST_CASE("of an older file only a checkpoint says that it is done") {
  CommitFence fence;
  fence.add({1, 900}, "", held(1));
  fence.answer(committed("binlog.000002", 400));
  CHECK(marks(fence.take_passed()) == "");
  fence.checkpoint(1);
  CHECK(marks(fence.take_passed()) == "");
  fence.add({2, 500}, "", held(2));
  fence.checkpoint(2);
  CHECK(marks(fence.take_passed()) == "1");
  CHECK(marks(fence.take_passed()) == "");
  fence.answer(committed("binlog.000002", 500));
  CHECK(marks(fence.take_passed()) == "2");
  fence.add({1, 0}, "", held(3));  // what the horizon asks for in a file without a transaction
  CHECK(marks(fence.take_passed()) == "3");
}

TEST_CASE("answers in an unknown form prove nothing") {
  CommitFence fence;
  fence.add({1, 100}, "", held(1));
  for (const auto& rows : {std::vector<TextRow>{}, std::vector<TextRow>{{"a"}},
                           committed("binlog", 100), committed("binlog.000001", 101)}) {
    fence.answer(rows);
    CHECK(marks(fence.take_passed()) == "");
  }
}

TEST_CASE("by global identifiers: all that were asked about, or none") {
  CommitFence fence(CommitFence::Proof::kGtid);
  fence.add({}, "a:1", held(1));
  fence.add({}, "a:2", held(2));
  CHECK(fence.question() == "SELECT GTID_SUBSET('a:1,a:2', @@GLOBAL.gtid_executed)");
  fence.add({}, "a:3", held(3));
  fence.checkpoint(9);
  CHECK(marks(fence.take_passed()) == "");
  fence.answer(std::vector<TextRow>{{"0"}});
  CHECK(marks(fence.take_passed()) == "");
  fence.question();
  fence.answer(std::vector<TextRow>{{"1"}});
  CHECK(marks(fence.take_passed()) == "123");
  fence.add({}, "a:4", held(4));
  fence.answer(std::vector<TextRow>{{"1"}});  // nothing was asked
  CHECK(marks(fence.take_passed()) == "");
}

TEST_CASE("servers whose log does not tell all are refused by the setting's name") {
  const ServerVariables good = {{"log_bin", "ON"},
                                {"binlog_format", "ROW"},
                                {"log_slave_updates", "OFF"},
                                {"binlog_optimize_thread_scheduling", "ON"},
                                {"wsrep_on", "OFF"}};
  CHECK(binlog_fitness(good, true));
  struct Case {
    const char* name;
    const char* value;
    const char* needs;
  };
  for (const Case& one : {Case{"log_bin", "OFF", "log_bin"},
                          {"binlog_format", "MIXED", "binlog_format = ROW"},
                          {"binlog_optimize_thread_scheduling", "OFF", "thread_scheduling = ON"},
                          {"binlog_storage_engine", "innodb", "in files"},
                          {"wsrep_on", "ON", "log_slave_updates = ON"}}) {
    INFO(one.name);
    ServerVariables bad = good;
    bad[one.name] = one.value;
    const auto fit = binlog_fitness(bad, true);
    REQUIRE_FALSE(fit);
    CHECK(fit.error().message.find(one.needs) != std::string::npos);
  }
  ServerVariables mysql = {{"log_bin", "ON"}, {"binlog_format", "ROW"}, {"gtid_mode", "ON"}};
  CHECK(binlog_fitness(mysql, false));
  mysql["gtid_mode"] = "ON_PERMISSIVE";
  CHECK(binlog_fitness(mysql, false).error().message.find("gtid_mode = ON") != std::string::npos);
  CHECK(binlog_filters_fitness({"binlog.000001", "4", "", ""}));
  CHECK_FALSE(binlog_filters_fitness({"binlog.000001", "4", "", "other"}));
  CHECK_FALSE(binlog_filters_fitness({"binlog.000001", "4", "shop", ""}));
}

}  // namespace
}  // namespace hyperdrive::proxy::session::mysql
