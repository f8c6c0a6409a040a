#include "proxy/session/postgres/pending_writes.hpp"

#include <catch2/catch.hpp>

#include "proxy/session/postgres/error_text.hpp"
#include "proxy/wire/postgres/build.hpp"

using namespace hyperdrive::proxy::session::postgres;

namespace {

PendingWrites after(std::initializer_list<std::string_view> tags) {
  PendingWrites writes;
  for (const std::string_view tag : tags) tag == "error" ? writes.note_error() : writes.note(tag);
  return writes;
}

std::string error(std::initializer_list<std::pair<char, std::string_view>> fields) {
  std::string body;
  for (const auto& [type, value] : fields) body.append(1, type).append(value).append(1, '\0');
  return body + '\0';
}

}  // namespace

TEST_CASE("an error takes back what was not committed, and nothing else") {
  CHECK_FALSE(after({"INSERT 0 1"}).surely_undone());
  CHECK(after({"INSERT 0 1", "error"}).surely_undone());
  CHECK(after({"INSERT 0 1", "ROLLBACK"}).surely_undone());
  CHECK(after({"error"}).surely_undone());
  CHECK_FALSE(after({"INSERT 0 1", "COMMIT", "error"}).surely_undone());
  CHECK_FALSE(after({"COMMIT PREPARED", "error"}).surely_undone());
  CHECK_FALSE(after({"PREPARE TRANSACTION", "error"}).surely_undone());
  CHECK_FALSE(after({"SAVEPOINT", "error", "ROLLBACK", "INSERT 0 1", "COMMIT"}).surely_undone());
  PendingWrites next = after({"INSERT 0 1"});
  next.pass_idle();
  next.note_error();
  CHECK_FALSE(next.surely_undone());
}

TEST_CASE("PREPARE TRANSACTION is asked about, whatever it says") {
  PendingWrites writes = after({"INSERT 0 1", "ROLLBACK", "error"});
  writes.prepared = "x";
  CHECK_FALSE(writes.surely_undone());
}

TEST_CASE("what commits inside is undone only if it has not run") {
  PendingWrites writes = after({"CALL", "error"});
  writes.coming.may_commit_inside = true;
  CHECK(writes.surely_undone());
  writes.had |= writes.coming;
  CHECK_FALSE(writes.surely_undone());
}

TEST_CASE("a text that the grammar refuses is told from one that code has made") {
  CHECK(is_about_text(error({{'V', "ERROR"}, {'C', "42601"}, {'P', "1"}})));
  CHECK_FALSE(is_about_text(error({{'V', "ERROR"}, {'C', "42P01"}, {'P', "1"}})));
  CHECK_FALSE(is_about_text(error({{'V', "ERROR"}, {'C', "42601"}})));
  CHECK_FALSE(is_about_text(error({{'C', "42601"}, {'p', "1"}, {'q', "selec"}, {'W', "PL"}})));
  CHECK_FALSE(is_about_text(error({{'C', "42601"}, {'P', "1"}, {'W', "PL/pgSQL function f()"}})));
}
