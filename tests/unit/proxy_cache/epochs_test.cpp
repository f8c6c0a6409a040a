#include <array>
#include <catch2/catch.hpp>
#include <thread>

#include "make.hpp"

using namespace cache_test;

TEST_CASE("an announced write makes older answers old and keeps new ones from being stored") {
  Epochs epochs;
  Mark* table = &epochs.table(7);
  const std::array<Mark*, 1> marks{table};
  const Stamp before = epochs.now();
  REQUIRE(epochs.unwritten_since(before, marks));

  WriteIntent write = epochs.begin_write();
  write.add(marks);
  CHECK_FALSE(epochs.unwritten_since(before, marks));
  CHECK(epochs.any_open(marks));
  const Stamp during = epochs.now();
  CHECK(epochs.unwritten_since(during, marks));

  SECTION("committed: what was asked meanwhile is old as well") {
    write.commit();
    CHECK_FALSE(epochs.any_open(marks));
    CHECK_FALSE(epochs.unwritten_since(during, marks));
    CHECK(epochs.unwritten_since(epochs.now(), marks));
    CHECK(epochs.stale_by(before, marks) == table);
    CHECK(epochs.stale_by(epochs.now(), marks) == nullptr);
  }
  SECTION("rolled back: what was asked meanwhile holds, and nothing counts as stale") {
    write.roll_back();
    CHECK_FALSE(epochs.any_open(marks));
    CHECK(epochs.unwritten_since(during, marks));
    CHECK(epochs.stale_by(before, marks) == nullptr);
  }
  CHECK_FALSE(write.pending());
}

TEST_CASE("a write of unknown target touches every answer") {
  Epochs epochs;
  const std::array<Mark*, 1> marks{&epochs.table(1)};
  const Stamp before = epochs.now();
  WriteIntent write = epochs.begin_write();
  write.add_everything();
  CHECK_FALSE(epochs.unwritten_since(before, marks));
  CHECK_FALSE(epochs.unwritten_since(before, {}));
  CHECK(epochs.any_open({}));
  write.commit();
  CHECK_FALSE(epochs.any_open({}));
  CHECK(epochs.stale_by(before, marks) == &epochs.database());
}

TEST_CASE("a table that is announced twice by one transaction is settled once") {
  Epochs epochs;
  const std::array<Mark*, 1> marks{&epochs.table(1)};
  WriteIntent write = epochs.begin_write();
  write.add(marks);
  write.add(marks);
  WriteIntent other = epochs.begin_write();
  other.add(marks);
  write.commit();
  CHECK(epochs.any_open(marks));
  other.roll_back();
  CHECK_FALSE(epochs.any_open(marks));
}

TEST_CASE("an intent that is lost keeps its tables open and is counted") {
  Epochs epochs;
  const std::array<Mark*, 1> marks{&epochs.table(1)};
  {
    WriteIntent write = epochs.begin_write();
    write.add(marks);
    WriteIntent moved = std::move(write);
  }
  CHECK(epochs.any_open(marks));
  CHECK(epochs.lost() == 1);
}

TEST_CASE("a purge ends answers without being a write") {
  Epochs epochs;
  const std::array<Mark*, 2> marks{&epochs.table(1), &epochs.tag("products")};
  const Stamp before = epochs.now();
  epochs.purge(epochs.tag("products"));
  CHECK_FALSE(epochs.unpurged_since(before, marks));
  CHECK(epochs.unwritten_since(before, marks));
  CHECK(epochs.unpurged_since(epochs.now(), marks));
  const Stamp later = epochs.now();
  epochs.purge_all();
  CHECK_FALSE(epochs.unpurged_since(later, {}));
}

TEST_CASE("marks keep their place while other threads make more") {
  Epochs epochs;
  Mark* first = &epochs.table(0);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (TableId id = 0; id < 2000; ++id) {
        Mark* mark = &epochs.table(id);
        WriteIntent write = epochs.begin_write();
        write.add({&mark, 1});
        write.commit();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(&epochs.table(0) == first);
  CHECK(epochs.table(1999).id() == 1999);
  CHECK_FALSE(first->open());
}
