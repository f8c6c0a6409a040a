// libpq's pipeline mode: many Syncs in flight, errors inside a pipeline, results far larger than
// any buffer.
//   libpq_pipeline CONNECTION_STRING
#include <libpq-fe.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

namespace {

using Connection = std::unique_ptr<PGconn, decltype(&PQfinish)>;
using Answer = std::unique_ptr<PGresult, decltype(&PQclear)>;

void check(bool ok, const std::string& what, PGconn* db) {
  if (ok) return;
  std::fprintf(stderr, "step failed: %s: %s\n", what.c_str(), PQerrorMessage(db));
  std::exit(1);
}

void send(PGconn* db, const char* sql, const std::string& value) {
  const char* values[] = {value.c_str()};
  check(PQsendQueryParams(db, sql, 1, nullptr, values, nullptr, nullptr, 0) == 1, "send", db);
}

Answer next(PGconn* db) { return {PQgetResult(db), PQclear}; }

void expect_value(PGconn* db, const std::string& value) {
  Answer answer = next(db);
  check(PQresultStatus(answer.get()) == PGRES_TUPLES_OK, "tuples", db);
  check(PQgetvalue(answer.get(), 0, 0) == value, "value " + value, db);
  check(next(db) == nullptr, "end of one result", db);
}

void expect_status(PGconn* db, ExecStatusType status, const char* what) {
  Answer answer = next(db);
  check(PQresultStatus(answer.get()) == status, what, db);
}

void many_syncs(PGconn* db) {
  for (int i = 0; i < 200; ++i) {
    send(db, "select $1::text", std::to_string(i));
    check(PQpipelineSync(db) == 1, "sync", db);
  }
  for (int i = 0; i < 200; ++i) {
    expect_value(db, std::to_string(i));
    expect_status(db, PGRES_PIPELINE_SYNC, "sync's answer");
  }
}

void error_inside(PGconn* db) {
  send(db, "select $1::text", "before");
  send(db, "select 1 / $1::int", "0");
  send(db, "select $1::text", "skipped");
  PQpipelineSync(db);
  send(db, "select $1::text", "after");
  PQpipelineSync(db);
  expect_value(db, "before");
  expect_status(db, PGRES_FATAL_ERROR, "the error");
  check(next(db) == nullptr, "end of the error", db);
  expect_status(db, PGRES_PIPELINE_ABORTED, "the statement behind it");
  check(next(db) == nullptr, "end of the skipped", db);
  expect_status(db, PGRES_PIPELINE_SYNC, "first sync");
  expect_value(db, "after");
  expect_status(db, PGRES_PIPELINE_SYNC, "second sync");
}

// Both directions fill up unless someone reads while writing: libpq is non-blocking here.
void big_both_ways(PGconn* db) {
  const std::string big(1 << 20, 'x');
  PQsetnonblocking(db, 1);
  constexpr int kCount = 24;
  for (int i = 0; i < kCount; ++i) send(db, "select $1::text", big);
  PQpipelineSync(db);
  while (PQflush(db) == 1) check(PQconsumeInput(db) == 1, "consume", db);
  for (int i = 0; i < kCount; ++i) expect_value(db, big);
  expect_status(db, PGRES_PIPELINE_SYNC, "sync after the big ones");
  PQsetnonblocking(db, 0);
}

void prepared(PGconn* db) {
  check(PQsendPrepare(db, "p", "select $1::int + 1", 0, nullptr) == 1, "prepare", db);
  for (int i = 0; i < 50; ++i) {
    const std::string value = std::to_string(i);
    const char* values[] = {value.c_str()};
    check(PQsendQueryPrepared(db, "p", 1, values, nullptr, nullptr, 0) == 1, "execute", db);
  }
  check(PQsendDescribePrepared(db, "p") == 1, "describe", db);
  PQpipelineSync(db);
  expect_status(db, PGRES_COMMAND_OK, "prepared");
  check(next(db) == nullptr, "end of prepare", db);
  for (int i = 0; i < 50; ++i) expect_value(db, std::to_string(i + 1));
  Answer described = next(db);
  check(PQnparams(described.get()) == 1 && PQnfields(described.get()) == 1, "description", db);
  check(next(db) == nullptr, "end of describe", db);
  expect_status(db, PGRES_PIPELINE_SYNC, "sync after prepared");
}

}  // namespace

int main(int, char** argv) {
  std::vector<Connection> all;
  for (int i = 0; i < 5; ++i) {
    all.emplace_back(PQconnectdb(argv[1]), PQfinish);
    check(PQstatus(all.back().get()) == CONNECTION_OK, "connect", all.back().get());
    check(PQenterPipelineMode(all.back().get()) == 1, "pipeline mode", all.back().get());
  }
  for (const Connection& db : all) {
    many_syncs(db.get());
    error_inside(db.get());
    big_both_ways(db.get());
    prepared(db.get());
  }
  std::puts("passed");
}
