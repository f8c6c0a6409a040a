#include "proxy/cache/tier_protocol.hpp"

#include <catch2/catch.hpp>

using namespace hyperdrive::proxy::cache;
using namespace std::chrono_literals;

TEST_CASE("an answer comes back from its encoding as it was, zeros and all") {
  const std::string rows("D\0\0\0\4", 5);
  const tier::Answer answer{"key", "e1,e2", "head", "tail", rows, 7, 15us, 75'000ms};
  const std::string bytes = tier::encode(answer);
  const auto back = tier::decode(bytes);
  REQUIRE(back);
  CHECK(back->key == "key");
  CHECK(back->epochs == "e1,e2");
  CHECK(back->head == "head");
  CHECK(back->tail == "tail");
  CHECK(back->rows == rows);
  CHECK(back->row_count == 7);
  CHECK(back->cost == 15us);
  CHECK(back->life == 75'000ms);
}

TEST_CASE("anything else than a whole answer is none") {
  const std::string bytes = tier::encode({"key", "e", "h", "t", "rows", 1, 1us, 1ms});
  for (std::size_t size = 0; size < bytes.size(); ++size)
    CHECK_FALSE(tier::decode(bytes.substr(0, size)));
  CHECK_FALSE(tier::decode(bytes + "x"));
  CHECK_FALSE(tier::decode("x" + bytes));
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    std::string lies = bytes;
    lies[at] = static_cast<char>(lies[at] ^ 0x01);
    CHECK_FALSE(tier::decode(lies));
  }
}

TEST_CASE("tables, tags and the database have names of their own; spaces do not mix") {
  Epochs epochs;
  const std::string space = tier::space("origin", "writes");
  CHECK(space != tier::space("origin", "none"));
  CHECK(space != tier::space("origi", "nwrites"));
  const std::string table = tier::epoch_key(space, epochs.table(16384));
  CHECK(table == "hd:" + space + ":e:16384");
  CHECK(table != tier::intents_key(space, epochs.table(16384)));
  CHECK(tier::epoch_key(space, epochs.database()) != tier::epoch_key(space, epochs.tag("a")));
  CHECK(tier::epoch_key(space, epochs.tag("a")) == tier::epoch_key(space, epochs.tag("a")));
}

namespace {

struct Heard final : WriteWatcher {
  std::vector<std::string> events;
  std::shared_ptr<Announcement> announce(std::shared_ptr<Announcement> about,
                                         std::span<Mark* const> marks) override {
    if (!about) about = std::make_shared<Announcement>(events.size() + 1);
    about->begin();
    events.push_back("announce " + std::to_string(about->id()) + ": " +
                     std::to_string(marks.size()));
    return about;
  }
  void settle(const std::shared_ptr<Announcement>& about, std::span<Mark* const> marks,
              bool committed) override {
    events.push_back((committed ? "commit " : "undo ") + std::to_string(about->id()) + ": " +
                     std::to_string(marks.size()));
  }
};

}  // namespace

TEST_CASE("a watcher hears of each mark once, and of the end") {
  Epochs epochs;
  Heard heard;
  epochs.set_watcher(&heard);
  WriteIntent intent = epochs.begin_write();
  Mark* const both[] = {&epochs.table(1), &epochs.table(2)};
  intent.add(std::span(both, 1));
  intent.add(both);
  intent.add(both);
  REQUIRE(intent.announcement());
  CHECK(intent.announcement()->pending());
  int woken = 0;
  intent.announcement()->when_known([&] { ++woken; });
  intent.announcement()->known();
  CHECK(woken == 0);
  intent.announcement()->known();
  CHECK(woken == 1);
  intent.announcement()->when_known([&] { ++woken; });
  CHECK(woken == 2);
  WriteIntent moved = std::move(intent);
  moved.commit();
  moved = epochs.begin_write();
  moved.add(both);
  moved.roll_back();
  WriteIntent foreign = epochs.begin_foreign_write();
  foreign.add(both);
  foreign.commit();
  CHECK(heard.events == std::vector<std::string>{"announce 1: 1", "announce 1: 1", "commit 1: 2",
                                                 "announce 4: 2", "undo 4: 2"});
}
