// Client: COM_STMT_…: ids of our own, and the types that an EXECUTE leaves out put in again.
#include <cstring>

#include "proxy/session/mysql/client.hpp"

namespace hyperdrive::proxy::session::mysql {

namespace my = wire::mysql;
using my::Command;

namespace {

void put_id(char* at, std::uint32_t id) {
  for (int i = 0; i < 4; ++i) at[i] = static_cast<char>(id >> (8 * i) & 0xff);
}

void put_length(char* at, std::size_t length) {
  for (int i = 0; i < 3; ++i) at[i] = static_cast<char>(length >> (8 * i) & 0xff);
}

constexpr std::size_t kIdAt = my::kHeaderSize + 1;

/// Whether all values are NULL, which needs no types.
bool is_all_null(const my::Execute& execute) {
  for (std::size_t i = 0; i < execute.parameters; ++i) {
    const auto bits = static_cast<unsigned char>(execute.null_bitmap[i / 8]);
    if ((bits >> (i % 8) & 1) == 0) return false;
  }
  return true;
}

}  // namespace

ClientStatement* Client::find_statement(const Message& message) {
  const auto id = my::statement_id(message.payload);
  if (!id) return nullptr;
  const auto found = statements_.find(*id == my::kLastPrepared ? last_prepared_ : *id);
  return found == statements_.end() ? nullptr : found->second.get();
}

/// In the words of the origin's own generation, as all that is refused here.
Client::Step Client::unknown_statement(const Message& message, std::string_view command) {
  const auto id = my::statement_id(message.payload);
  constexpr unsigned kMysql8 = 80000;
  const auto server = worker_.service.server();
  if (!server.is_mariadb && server.version >= kMysql8) command = "mysql_stmt_precheck";
  return refuse(1243, "HY000",
                "Unknown prepared statement handler (" + std::to_string(id.value_or(0)) +
                    ") given to " + std::string(command));
}

Client::Step Client::refuse_oversized(std::string_view why) {
  return refuse(1153, "08S01",
                "Got a packet bigger than 'max_allowed_packet' bytes: " + std::string(why));
}

Client::Step Client::stmt_prepare(const Message& message) {
  // As many as the server's default lets all of them have together.
  constexpr std::size_t kMostStatements = 16'382;
  if (statements_.size() >= kMostStatements) {
    return refuse(1461, "42000",
                  "Can't create more than max_prepared_stmt_count statements (current value: " +
                      std::to_string(kMostStatements) + ")");
  }
  // It would have to be prepared again elsewhere, and told from others that begin alike.
  if (!message.is_whole) return refuse_oversized("a statement of over 16 MB cannot be prepared");
  const TextRef text = text_of(message);
  if (!need_origin(nullptr)) return Step::kBlocked;
  last_prepared_ = 0;
  running_ = {};
  running_.text = text;
  running_.findings = 1u << static_cast<unsigned>(Feature::kPrepare);
  worker_.telemetry.production_refuses(Feature::kPrepare);
  forward(message, Reply::kPrepare);
  return Step::kDone;
}

/// The origin has prepared running_.text: it gets an id of ours.
std::uint32_t Client::prepared(const my::PrepareOk& prepared) {
  auto statement = std::make_unique<ClientStatement>();
  do {
    statement->id = ++next_statement_;
  } while (statement->id == 0 || statement->id == my::kLastPrepared ||
           statements_.contains(statement->id));
  statement->text = running_.text;
  statement->prepared = worker_.service.prepared.get(running_.text->text, state_);
  statement->parameters = prepared.parameters;
  has_prepared(statement->prepared->id, prepared.statement);
  last_prepared_ = statement->id;
  const std::uint32_t id = statement->id;
  statements_.emplace(id, std::move(statement));
  return id;
}

/// The connection in use has one more.
void Client::has_prepared(std::uint64_t id, std::uint32_t origin_id) {
  const auto before = lease_->prepared().add(id, origin_id);
  if (before) lease_->close_statement(*before);
  while (const auto surplus = lease_->prepared().surplus()) {
    lease_->close_statement(*surplus);
    worker_.telemetry.add(Counter::kStatementsEvicted);
  }
}

/// The origin's id on the connection in use; null: it is being prepared there first.
const std::uint32_t* Client::ensure_prepared(const PreparedRef& prepared) {
  if (const auto* id = lease_->prepared().use(prepared->id)) return id;
  if (prepared->unbound) {
    lease_->prepared().rename(prepared->unbound->id, prepared->id);
    if (const auto* id = lease_->prepared().use(prepared->id)) return id;
  }
  const Expected prelude{Reply::kOk, Purpose::kPrelude, 1, false, nullptr};
  const std::string& database = prepared->state->database;
  const bool elsewhere = database != state_->database;
  if (elsewhere && (database.empty() || state_->database.empty())) {
    pending_error_ = my::build_err({1046, "3D000", "No database selected"});
    return nullptr;
  }
  const auto set = [&](const StateRef& from, const StateRef& to) {
    const std::string sql = difference(from, to, lease_->baseline());
    if (!sql.empty()) lease_->send(Command::kQuery, sql, prelude);
  };
  // As it was read then: "x" may be a name, and its bytes are of that character set.
  const StateRef reading =
      same(prepared->state, state_) ? state_ : read_as(state_, prepared->state);
  if (reading != state_) set(state_, reading);
  if (elsewhere) lease_->send(Command::kInitDb, database, prelude);
  lease_->send(Command::kStmtPrepare, prepared->text,
               {Reply::kPrepare, Purpose::kPrepare, 1, false, prepared});
  if (elsewhere) lease_->send(Command::kInitDb, state_->database, prelude);
  if (reading != state_) set(reading, state_);
  worker_.telemetry.add(Counter::kParsesInjected);
  block(Block::kPrelude);
  return nullptr;
}

const std::uint32_t* Client::ensure_prepared(const ClientStatement& statement) {
  return statement.own ? &*statement.own : ensure_prepared(statement.prepared);
}

/// Of NULL the origin learns no type; strings it takes for anything.
void Client::bind_types(ClientStatement& statement) {
  constexpr char kNull = 6, kVarString = '\xfd';
  if (statement.parameters == 0 || !worker_.service.keeps_types()) return;
  const std::size_t size = std::size_t{2} * statement.parameters;
  std::string bound = statement.bound;
  while (bound.size() < size) bound.append({kVarString, '\0'});
  for (std::size_t at = 0; at + 1 < std::min(size, statement.types.size()); at += 2) {
    if (statement.types[at] != kNull) bound.replace(at, 2, statement.types, at, 2);
  }
  if (bound == statement.bound) return;
  const PreparedRef& before = statement.prepared;
  statement.prepared =
      worker_.service.prepared.bind(before->unbound ? before->unbound : before, bound);
  statement.bound = std::move(bound);
  statement.is_mixed = statement.own.has_value();
}

/// Something of this client's is in it from now on.
void Client::take_over(ClientStatement& statement) {
  if (statement.own) return;
  const auto* id = lease_->prepared().use(statement.prepared->id);
  if (id == nullptr) return;
  statement.own = *id;
  lease_->prepared().remove(statement.prepared->id);
}

/// MySQL 9 ends the rows of a statement whose first execution had a cursor with an OK that looks
/// like a row, when it is executed without one: such a statement is prepared anew.
void Client::leave_cursor(ClientStatement& statement) {
  if (!lease_ || lease_->identity().is_mariadb) return;
  if (!statement.own || !statement.is_mixed || statement.long_data) return;
  lease_->close_statement(*std::exchange(statement.own, std::nullopt));
  statement.is_mixed = false;
  if (std::exchange(statement.cursor, false)) --cursors_;
}

/// Nothing is any more: it is for whoever prepares the same.
void Client::give_back(ClientStatement& statement) {
  const auto own = std::exchange(statement.own, std::nullopt);
  const bool is_mixed = std::exchange(statement.is_mixed, false);
  if (!own || !lease_) return;
  is_mixed ? lease_->close_statement(*own) : has_prepared(statement.prepared->id, *own);
}

/// As it came, but for the id.
void Client::forward_with_id(const Message& message, std::uint32_t origin_id, Reply reply) {
  running_.since = worker_.loop.now();
  running_.command = message.command();
  reply_begun_ = false;
  lease_->virgin = false;
  char* out = lease_->stream().reserve(message.whole.size());
  std::memcpy(out, message.whole.data(), message.whole.size());
  put_id(out + kIdAt, origin_id);
  worker_.telemetry.add(Counter::kBytesToOrigin, message.whole.size());
  lease_->expect({reply, Purpose::kCommand, sequence_, false, nullptr});
  if (!message.is_whole) start_streaming(message, false);
}

/// With the types of an earlier execution put in.
void Client::forward_with_types(const Message& message, std::uint32_t origin_id, net::Bytes types,
                                const TypesPlace& place) {
  running_.since = worker_.loop.now();
  running_.command = message.command();
  reply_begun_ = false;
  lease_->virgin = false;
  const net::Bytes tail = message.whole.substr(place.at);
  const std::size_t size = message.whole.size() + types.size();
  char* out = lease_->stream().reserve(size);
  std::memcpy(out, message.whole.data(), place.at);
  put_length(out, message.header.length + types.size());
  put_id(out + kIdAt, origin_id);
  out[place.flag_at] =
      static_cast<char>(static_cast<std::uint8_t>(out[place.flag_at]) | place.flag);
  std::memcpy(out + place.at, types.data(), types.size());
  std::memcpy(out + place.at + types.size(), tail.data(), tail.size());
  worker_.telemetry.add(Counter::kBytesToOrigin, size);
  lease_->expect({Reply::kQuery, Purpose::kCommand, sequence_, false, nullptr});
  if (!message.is_whole) start_streaming(message, false);
}

Client::Step Client::malformed() {
  return refuse(1835, "HY000",
                worker_.service.server().is_mariadb ? "Malformed communication packet"
                                                    : "Malformed communication packet.");
}

Client::Step Client::stmt_execute(const Message& message) {
  constexpr std::size_t kShortest = 10;
  if (message.payload.size() < kShortest) return malformed();
  ClientStatement* statement = find_statement(message);
  if (statement == nullptr) return unknown_statement(message, "mysqld_stmt_execute");
  if (!statement->lost_data.empty()) {
    return fail_with(message, std::exchange(statement->lost_data, {}));
  }
  const auto execute = my::parse_execute(message.payload, statement->parameters, 0);
  if (!execute) return malformed();
  // Bound now, whoever answers: the next execution may leave them out.
  if (execute->types_bound && execute->types != statement->types) statement->types = execute->types;
  bind_types(*statement);
  if (execute->flags == 0) leave_cursor(*statement);
  // The origin's statement may have been another client's, and have its types.
  if (!execute->types_bound && statement->types.empty() && !statement->long_data &&
      !is_all_null(*execute)) {
    return refuse(1210, "HY000", "Incorrect arguments to mysqld_stmt_execute");
  }
  TextInfo& text = *statement->text;
  Step step = Step::kDone;
  if (!text.plain && !may_run(message, text, step)) return step;
  const bool inserts =
      execute->parameters > 0 && !execute->types_bound && !statement->types.empty();
  const bool free = !lease_ || (lingers_ && !must_hold());
  if (worker_.gate != nullptr && free && message.is_whole && pins_ == 0 && execute->flags == 0 &&
      !statement->long_data && same(statement->prepared->state, state_)) {
    const net::Bytes types = execute->types_bound ? execute->types : net::Bytes(statement->types);
    if (offered(
            {text, statement->prepared->state, true, execute->null_bitmap, types, execute->values},
            step)) {
      if (step == Step::kDone && surely_counts(text)) {
        remember_read(text, state_, statement->prepared, &*execute, types);
      }
      return step;
    }
  }
  const std::size_t length = message.header.length + statement->types.size();
  if (inserts && (length >= my::kMaxPayload || message.header.continues())) {
    return refuse_oversized("an execution of over 16 MB must bind its types");
  }
  if (!text.read_only) last_.values.assign(execute->values, 0, LastStatement::kMaxExecution);
  if (!need_origin(&text)) return Step::kBlocked;
  const std::uint32_t* id = ensure_prepared(*statement);
  if (id == nullptr || !cleared(text, statement->prepared->state)) return Step::kBlocked;
  const bool counts = surely_counts(text);
  if (counts) last_.read.text = nullptr;
  if (counts && !statement->long_data) {
    remember_read(text, state_, statement->prepared, &*execute, statement->types);
  }
  running_ = {};
  running_.text = statement->text;
  running_.statement = statement->id;
  running_.binds_parameters = execute->parameters > 0;
  running_.findings = 1u << static_cast<unsigned>(Feature::kPrepare);
  note_before(text);
  const std::uint32_t origin_id = *id;
  if (execute->flags != 0 && !lease_->identity().is_mariadb) {
    take_over(*statement);
    statement->is_mixed = true;
  }
  if (!inserts) {
    forward_with_id(message, origin_id, Reply::kQuery);
    return Step::kDone;
  }
  const std::size_t flag_at = my::kHeaderSize + 10 + execute->null_bitmap.size();
  forward_with_types(message, origin_id, statement->types, {flag_at + 1, flag_at, 1});
  return Step::kDone;
}

/// MariaDB's: one statement, many rows of parameters.
Client::Step Client::stmt_bulk_execute(const Message& message) {
  constexpr std::size_t kShortest = 7;
  if (message.payload.size() < kShortest) return malformed();
  ClientStatement* statement = find_statement(message);
  if (statement == nullptr) return unknown_statement(message, "mysqld_stmt_bulk_execute");
  if (!statement->lost_data.empty()) {
    return fail_with(message, std::exchange(statement->lost_data, {}));
  }
  const auto bulk = my::parse_bulk_execute(message.payload, statement->parameters);
  if (!bulk) return malformed();
  if (bulk->types_bound) statement->types = bulk->types;
  const bool inserts = !bulk->types_bound && !statement->types.empty();
  const std::size_t length = message.header.length + statement->types.size();
  if (inserts && (length >= my::kMaxPayload || message.header.continues())) {
    return refuse_oversized("an execution of over 16 MB must bind its types");
  }
  TextInfo& text = *statement->text;
  Step step = Step::kDone;
  if (!text.plain && !may_run(message, text, step)) return step;
  last_.values.assign(message.payload, 0, LastStatement::kMaxExecution);
  if (!need_origin(&text)) return Step::kBlocked;
  const std::uint32_t* id = ensure_prepared(*statement);
  if (id == nullptr || !cleared(text, statement->prepared->state)) return Step::kBlocked;
  running_ = {};
  running_.text = statement->text;
  running_.statement = statement->id;
  running_.binds_parameters = true;
  running_.findings = 1u << static_cast<unsigned>(Feature::kPrepare);
  note_before(text);
  if (inserts) {
    forward_with_types(message, *id, statement->types,
                       {my::kHeaderSize + 7, my::kHeaderSize + 5, my::kBulkSendsTypes});
  } else {
    forward_with_id(message, *id, Reply::kQuery);
  }
  return Step::kDone;
}

/// No reply; from here to the execution the connection is held.
Client::Step Client::stmt_long_data(const Message& message) {
  ClientStatement* statement = find_statement(message);
  if (statement == nullptr || message.payload.size() < 7) return Step::kDone;  // as a server does
  if (!statement->lost_data.empty()) return Step::kDone;
  if (!need_origin(statement->text.get())) return Step::kBlocked;
  const std::uint32_t* id = ensure_prepared(*statement);
  if (id == nullptr) return Step::kBlocked;
  lease_->virgin = false;
  char* out = lease_->stream().reserve(message.whole.size());
  std::memcpy(out, message.whole.data(), message.whole.size());
  put_id(out + kIdAt, *id);
  worker_.telemetry.add(Counter::kBytesToOrigin, message.whole.size());
  if (!std::exchange(statement->long_data, true)) ++long_data_;
  take_over(*statement);
  if (!message.is_whole) start_streaming(message, false);
  return Step::kDone;
}

/// No reply. The origin keeps the statement for whoever prepares the same, unless something of this
/// client's is in it.
Client::Step Client::stmt_close(const Message& message) {
  ClientStatement* statement = find_statement(message);
  if (statement == nullptr) return Step::kDone;
  if (lease_ && statement->own) lease_->close_statement(*statement->own);
  if (statement->long_data) --long_data_;
  if (statement->cursor) --cursors_;
  if (last_prepared_ == statement->id) last_prepared_ = 0;
  statements_.erase(statement->id);
  return Step::kDone;
}

Client::Step Client::stmt_reset(const Message& message) {
  ClientStatement* statement = find_statement(message);
  if (statement == nullptr) return unknown_statement(message, "mysqld_stmt_reset");
  const std::uint32_t* id = lease_ && statement->own ? &*statement->own : nullptr;
  statement->lost_data.clear();
  if (std::exchange(statement->long_data, false)) --long_data_;
  if (std::exchange(statement->cursor, false)) --cursors_;
  if (id == nullptr) return ping();
  running_ = {};
  forward_with_id(message, *id, Reply::kOk);
  give_back(*statement);
  return Step::kDone;
}

Client::Step Client::stmt_fetch(const Message& message) {
  ClientStatement* statement = find_statement(message);
  if (statement == nullptr) return unknown_statement(message, "mysqld_stmt_fetch");
  const std::uint32_t* id =
      lease_ && statement->cursor && statement->own ? &*statement->own : nullptr;
  if (id == nullptr) {
    return refuse(1421, "HY000",
                  "The statement (" + std::to_string(statement->id) + ") has no open cursor" +
                      (worker_.service.server().is_mariadb ? "" : "."));
  }
  running_ = {};
  running_.statement = statement->id;
  forward_with_id(message, *id, Reply::kFetch);
  return Step::kDone;
}

}  // namespace hyperdrive::proxy::session::mysql
