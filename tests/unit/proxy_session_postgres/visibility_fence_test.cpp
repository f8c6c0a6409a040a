#include "proxy/session/postgres/visibility_fence.hpp"

#include <catch2/catch.hpp>

using namespace hyperdrive::proxy::session::postgres;
namespace cache = hyperdrive::proxy::cache;

namespace {
cache::WriteIntent write_to(cache::Epochs& epochs, cache::TableId id) {
  cache::Mark* mark = &epochs.table(id);
  cache::WriteIntent intent = epochs.begin_write();
  intent.add({&mark, 1});
  return intent;
}
}  // namespace

TEST_CASE("a logged commit keeps its tables open until the origin shows it") {
  cache::Epochs epochs;
  VisibilityFence fence;
  fence.add(725, write_to(epochs, 1));
  fence.add(726, write_to(epochs, 2));
  CHECK(fence.question().find("{725,726}") != std::string::npos);
  const cache::Stamp dispatched = epochs.now();
  const auto settled = fence.answer("ft");
  REQUIRE(settled);
  CHECK(settled->transactions == 1);
  CHECK_FALSE(settled->without_tables);
  CHECK(epochs.table(1).open());
  CHECK_FALSE(epochs.table(2).open());
  CHECK(epochs.table(2).changed_at() > dispatched);
  CHECK(fence.question().find("{725}") != std::string::npos);
  REQUIRE(fence.answer("t"));
  CHECK_FALSE(epochs.table(1).open());
  CHECK(fence.empty());
  CHECK(epochs.lost() == 0);
}

TEST_CASE("commits that came after the question are not settled by its answer") {
  cache::Epochs epochs;
  VisibilityFence fence;
  fence.add(1, write_to(epochs, 1));
  fence.question();
  fence.add(2, write_to(epochs, 2));
  REQUIRE(fence.answer("t"));
  CHECK(epochs.table(2).open());
  fence.question();
  CHECK_FALSE(fence.answer(""));
  CHECK_FALSE(fence.answer("t"));
  CHECK(fence.size() == 1);
  fence.question();
  CHECK(fence.answer("t"));
}

TEST_CASE("a commit without tables asks for a look at the schema") {
  cache::Epochs epochs;
  VisibilityFence fence;
  fence.add(7, epochs.begin_write());
  fence.question();
  CHECK(fence.answer("t")->without_tables);
}

TEST_CASE("without the fence a commit is settled when it is told") {
  cache::Epochs epochs;
  VisibilityFence fence(false);
  fence.add(7, write_to(epochs, 1));
  CHECK(fence.empty());
  CHECK_FALSE(epochs.table(1).open());
}
