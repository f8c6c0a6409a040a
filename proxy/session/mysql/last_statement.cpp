// Client: what a text asks about the statement before it.
#include "proxy/session/mysql/last_statement.hpp"

#include <algorithm>
#include <cstring>

#include "proxy/session/mysql/client.hpp"

namespace hyperdrive::proxy::session::mysql {

namespace my = wire::mysql;
namespace state = sql::state;
using sql::Effect;

namespace {

bool has_number(std::string_view text, std::uint64_t number) {
  const std::string digits = std::to_string(number);
  const auto is_digit = [&](std::size_t at) {
    return at < text.size() && text[at] >= '0' && text[at] <= '9';
  };
  for (std::size_t at = text.find(digits); at != text.npos; at = text.find(digits, at + 1)) {
    if (!is_digit(at + digits.size()) && !(at > 0 && is_digit(at - 1))) return true;
  }
  return false;
}

/// Whether the values of an execution may hold the number, be it as digits, as an integer of any
/// size or as a double (which is what drivers for JavaScript send).
bool may_hold(std::string_view values, std::uint64_t number) {
  if (values.size() >= LastStatement::kMaxExecution || has_number(values, number)) return true;
  char bytes[sizeof number];
  std::size_t size = 0;
  for (std::uint64_t rest = number; rest != 0; rest >>= 8) {
    bytes[size++] = static_cast<char>(rest & 0xff);
  }
  if (values.find(std::string_view(bytes, size)) != values.npos) return true;
  const auto real = static_cast<double>(number);
  std::memcpy(bytes, &real, sizeof real);
  return values.find(std::string_view(bytes, sizeof real)) != values.npos;
}

/// A prelude whose words the connection is not to be asked about.
const Expected kQuietOk{Reply::kOk, Purpose::kPrelude, 1, false, nullptr};
const Expected kQuietRows{Reply::kQuery, Purpose::kPrelude, 1, false, nullptr};

/// Of a plain text: an INSERT or REPLACE.
bool inserts(std::string_view text) {
  const std::size_t at = text.find_first_not_of(" \t\r\n");
  return at != text.npos && ((text[at] | 0x20) == 'i' || (text[at] | 0x20) == 'r');
}

/// Raises the error again. The message in hexadecimal: quotes depend on sql_mode.
std::string signal(const LastError& error) {
  const std::string state = error.sqlstate.empty() ? "HY000" : error.sqlstate;
  std::string sql = "SIGNAL SQLSTATE '" + state +
                    "' SET MYSQL_ERRNO = " + std::to_string(error.code) +
                    ", MESSAGE_TEXT = _utf8mb4 x'";
  for (const char c : error.message) {
    constexpr char kDigits[] = "0123456789ABCDEF";
    sql += kDigits[static_cast<unsigned char>(c) >> 4];
    sql += kDigits[static_cast<unsigned char>(c) & 15];
  }
  return sql + "'";
}

}  // namespace

/// An INSERT's reply names its row also where the statement has given the number, which leaves
/// LAST_INSERT_ID() as it was.
bool Client::may_give(TextInfo& text, bool binds_parameters, std::uint64_t id) const {
  if (!text.plain && TextMemo::analysis(text).statements.size() > 1) return true;
  if (text.text.size() > TextMemo::kMaxKept || text.cut) return true;  // not worth a search
  if (has_number(text.text, id)) return true;
  if (binds_parameters && may_hold(last_.values, id)) return true;
  // Numbers from elsewhere; of a row that is there.
  for (const std::string_view word : {"select", "table", "with", "load", "duplicate"}) {
    if (has_word(text.text, word)) return true;
  }
  return false;
}

/// Behind such a text nobody could tell whether the number that the connection has then is the
/// statement's own, or the one that somebody else has left there.
bool Client::may_confuse_ids(TextInfo& text) const {
  const auto& there = lease_->insert_id;
  if (!there || *there == 0 || *there == last_.insert_id || insert_id_open_) return false;
  if (text.read_only || (text.plain && !inserts(text.text))) return false;
  return may_give(text, !last_.values.empty(), *there);
}

/// Nobody else's number is the session's; the latest of each sequence stays on the connection.
void Client::note_draw(TextInfo& text, const Outcome& outcome) {
  Origin& origin = *lease_;
  if (origin.last_drawer != id_) {
    origin.several_drew = origin.several_drew || origin.last_drawer != 0;
    last_.drawn.clear();
  }
  origin.last_drawer = id_;
  last_.drew_on = origin.identity().connection_id;
  if (outcome.failed) return;
  if (std::string name = surely_drawn(text); !name.empty()) last_.drawn = std::move(name);
}

/// After a statement that ran at the origin.
void Client::note_statement(const Outcome& outcome) {
  const bool ran_here = lease_->last_client == id_ && lease_->last_statement == last_.number;
  // A PREPARE leaves the counts as they are.
  const bool counts = running_.command != my::Command::kStmtPrepare || outcome.failed;
  ++last_.number;
  lease_->last_client = id_;
  lease_->last_statement = (counts || ran_here) && !outcome.failed_here ? last_.number : 0;
  mode_flags_ = lease_->status() & my::status::kModes;
  if (outcome.failed || outcome.ends_with_rows) {
    last_.row_count = -1;
  } else if (counts) {
    last_.row_count = static_cast<std::int64_t>(outcome.affected_rows);
  }
  TextInfo* text = running_.text.get();
  const bool may_be_given = outcome.last_insert_id != 0 && text != nullptr &&
                            (running_.command == my::Command::kStmtBulkExecute ||
                             may_give(*text, running_.binds_parameters, outcome.last_insert_id));
  if (outcome.last_insert_id != 0 && !may_be_given) {
    lease_->insert_id = last_.insert_id = outcome.last_insert_id;
    last_.foreign_insert_id.reset();
    insert_id_open_ = false;
  }
  if (text != nullptr && running_.command != my::Command::kStmtPrepare && may_draw(*text)) {
    note_draw(*text, outcome);
  }
  // Another's list may have been emptied by this.
  if (lease_->diagnostics_of != id_) lease_->diagnostics_number = 0;
  if (outcome.failed || outcome.warnings > 0) {
    last_.failed(outcome.code, outcome.sqlstate, outcome.message);
    lease_->diagnostics_of = outcome.failed_here ? 0 : id_;
    lease_->diagnostics_number = last_.number;
  } else if (last_.has_diagnostics && text != nullptr) {
    last_.has_diagnostics = !empties_diagnostics(*text, lease_->identity().is_mariadb);
    if (!last_.has_diagnostics) lease_->diagnostics_of = 0;
  }
  if (text == nullptr || running_.command == my::Command::kStmtPrepare) return;
  const bool returning = text->plain ? outcome.ends_with_rows && inserts(text->text)
                                     : has_word(text->text, "returning");
  if (returning || may_be_given || (!text->plain && changes_insert_id(*text))) {
    if (lease_->insert_id && *lease_->insert_id != last_.insert_id) {
      last_.foreign_insert_id = lease_->insert_id;
    }
    lease_->insert_id.reset();
    insert_id_open_ = true;
  }
  note_count(*text, outcome);
}

/// FOUND_ROWS() is what the session's own latest query has left, wherever that was.
void Client::note_count(TextInfo& text, const Outcome& outcome) {
  Origin& origin = *lease_;
  const Counting counting = counting_of(text, origin.identity().is_mariadb);
  if (counting == Counting::kLeaves) return;
  if (counting == Counting::kUnsure || outcome.failed) {
    // If it has left it as it was, it is the session's own if that was.
    const bool was_own =
        last_.counted != 0 && origin.counted_by == id_ && origin.counted == last_.counted;
    origin.counted_by = was_own ? id_ : 0;
    origin.counted = last_.counted = last_.number;
    last_.read.text = nullptr;
    return;
  }
  origin.counted_by = id_;
  origin.counted = last_.counted = last_.number;
  const auto& analysis = text.analysis;
  // To read it again must leave nothing and draw nothing.
  const bool calculates = !text.read_only && analysis && analysis->statements.size() == 1 &&
                          analysis->statements.front().effect == Effect::kRead &&
                          (analysis->statements.front().state & ~sql::state::kLastStatement) == 0 &&
                          has_word(text.text, "sql_calc_found_rows") && !asks_of(text).any() &&
                          !may_draw(text);
  const bool repeatable = !text.hidden && !origin.calls_unsaid && outcome.ends_with_rows &&
                          (surely_counts(text) || calculates);
  if (!repeatable) {
    last_.read.text = nullptr;
  } else if (running_.command == my::Command::kQuery) {
    remember_read(text, state_, nullptr, nullptr, {});
  } else if (running_.command != my::Command::kStmtExecute || last_.read.text != running_.text) {
    last_.read.text = nullptr;  // an execution was remembered when it was sent, if at all
  }
}

void Client::remember_read(TextInfo& text, const StateRef& state, PreparedRef prepared,
                           const my::Execute* execute, net::Bytes types) {
  LastRead& read = last_.read;
  const std::size_t size =
      execute == nullptr ? 0 : execute->null_bitmap.size() + types.size() + execute->values.size();
  read.text = size > LastStatement::kMaxExecution ? nullptr : &text;
  if (read.state != state) read.state = state;  // to count references costs more
  read.prepared = std::move(prepared);
  read.execution.clear();
  if (execute == nullptr || execute->parameters == 0 || read.text == nullptr) return;
  read.execution.append(execute->null_bitmap).append(1, '\1').append(types).append(execute->values);
}

/// The answer to `text` came from the cache.
void Client::served(TextInfo& text) {
  last_.answered_here(-1);
  const bool counts = surely_counts(text);
  if (counts) last_.counted = last_.number;
  if (counts && !last_.has_diagnostics) return;
  const auto profile = worker_.service.profile();
  const bool is_mariadb = profile && profile->server.is_mariadb;
  if (!counts && counting_of(text, is_mariadb) != Counting::kLeaves) {
    last_.counted = last_.number;
    last_.read.text = nullptr;
  }
  if (!last_.has_diagnostics) return;
  last_.has_diagnostics = !empties_diagnostics(text, is_mariadb);
}

/// Tells the connection in use what `text` asks it, as far as it does not know it by itself.
void Client::recall(TextInfo& text) {
  const Asks asks = asks_of(text);
  if (!asks.any()) return;
  Origin& origin = *lease_;
  bool ran_here = origin.last_client == id_ && origin.last_statement == last_.number;
  bool possible = !asks.sequence || knows_sequences(text);
  last_.asks_sequences = last_.asks_sequences || asks.sequence;
  // Most take numbers without ever asking: the session is kept together from the first question on.
  const auto features = worker_.options->config.local.session_features;
  const bool keeps = asks.sequence && possible && features == core::SessionFeatures::kPin;
  if (keeps) pin(Feature::kSequence);
  if (asks.insert_id) ran_here = recall_insert_id() && ran_here;
  // Whoever ran the last statement here may have run the one before elsewhere.
  if (asks.diagnostics) {
    possible = recall_diagnostics() && possible;
    ran_here = ran_here && !origin.busy();
  }
  possible = recall_counts(asks, ran_here) && possible;
  if (block_ == Block::kPrelude) return;  // a statement is being prepared: all of it again then
  origin.last_client = id_;
  origin.last_statement = last_.number;
  if (possible) return;
  worker_.telemetry.lost(Feature::kLastStatement);
  pending_error_ = my::build_err(
      {1235, "42000",
       "Unsupported in a pooled connection: asking about a statement whose connection has gone "
       "back to the pool (FOUND_ROWS, ROW_COUNT, SHOW WARNINGS, LASTVAL). Ask inside the same "
       "transaction, "
       "or say `hyperdrive update <config> --session-features pin`."});
}

/// LAST_INSERT_ID() becomes the session's own there; true: it was.
bool Client::recall_insert_id() {
  const std::string own = std::to_string(last_.insert_id);
  std::string sql = "SET last_insert_id = ";
  if (!insert_id_open_) {
    if (lease_->insert_id == last_.insert_id) return true;
    sql += own;
    lease_->insert_id = last_.insert_id;
  } else {
    // The session's latest INSERT may have left it as somebody else had left it.
    if (!last_.foreign_insert_id) return true;
    sql += "IF(@@last_insert_id = " + std::to_string(*last_.foreign_insert_id) + ", " + own +
           ", @@last_insert_id)";
    last_.foreign_insert_id.reset();
  }
  lease_->send(my::Command::kQuery, sql, kQuietOk);
  return false;
}

/// Whether what the connection in use would say of sequences is what the session's own would.
bool Client::knows_sequences(const TextInfo& text) const {
  if (last_.drew_on == 0) return lease_->last_drawer == 0;
  const bool here = last_.drew_on == lease_->identity().connection_id;
  if (!here || lease_->last_drawer != id_) return false;
  if (!lease_->several_drew) return true;
  // What the session has written since may have taken no number of that sequence.
  const std::vector<std::string> names = asked_sequences(text);
  return !last_.drawn.empty() && !names.empty() &&
         std::all_of(names.begin(), names.end(),
                     [this](const std::string& name) { return name == last_.drawn; });
}

/// The list holds this client's, or nothing.
bool Client::recall_diagnostics() {
  Origin& origin = *lease_;
  if (last_.has_diagnostics) {
    if (origin.diagnostics_of == id_ && origin.diagnostics_number == last_.diagnostics_of) {
      return true;
    }
    if (last_.error.code == 0) return false;
    origin.send(my::Command::kQuery, signal(last_.error),
                {Reply::kOk, Purpose::kRecall, 1, false, nullptr});
    origin.diagnostics_of = id_;
    origin.diagnostics_number = last_.diagnostics_of;
    return true;
  }
  if (origin.diagnostics_of != 0) {
    origin.send(my::Command::kQuery, "SELECT 1 FROM (SELECT 1) AS x LIMIT 0", kQuietRows);
    origin.diagnostics_of = 0;
  }
  return true;
}

/// FOUND_ROWS() and ROW_COUNT(): what brings about the one must leave the other.
bool Client::recall_counts(const Asks& asks, bool ran_here) {
  Origin& origin = *lease_;
  const bool counted_here =
      last_.counted != 0 && origin.counted_by == id_ && origin.counted == last_.counted;
  const bool wants_rows = asks.row_count && !ran_here;
  const bool after_query = last_.row_count == -1;
  const bool wants_found = asks.found_rows && (!counted_here || (wants_rows && after_query));
  if (!wants_found) {
    if (!wants_rows) return true;
    return (!asks.found_rows || last_.row_count == 0) && recall_row_count();
  }
  if (asks.row_count && !after_query) return false;
  if (!recall_found_rows()) return false;
  if (last_.counted == 0) last_.counted = ++last_.number;
  origin.counted_by = id_;
  origin.counted = last_.counted;
  return true;
}

bool Client::recall_found_rows() {
  Origin& origin = *lease_;
  const LastRead& read = last_.read;
  if (last_.counted == 0 && origin.identity().is_mariadb) {
    // A session's first, of which nothing has been asked yet.
    origin.send(my::Command::kQuery, "SELECT 1", kQuietRows);
    return true;
  }
  if (read.text == nullptr || !same(read.state, state_)) return false;
  if (!read.prepared) {
    origin.send(my::Command::kQuery, read.text->text, kQuietRows);
    return true;
  }
  const std::uint32_t* id = ensure_prepared(read.prepared);
  if (id == nullptr) return false;
  std::string argument;
  my::PayloadWriter(argument).u32(*id).u8(0).u32(1).bytes(read.execution);
  origin.send(my::Command::kStmtExecute, argument, kQuietRows);
  return true;
}

bool Client::recall_row_count() {
  Origin& origin = *lease_;
  switch (last_.row_count) {
    case -1:
      origin.send(my::Command::kQuery, "SELECT 1", kQuietRows);
      return true;
    case 0:
      origin.send(my::Command::kQuery, "DO 0", kQuietOk);
      return true;
    case 1:
      origin.send(my::Command::kQuery, "SELECT 1 INTO @hyperdrive_row", kQuietOk);
      origin.counted_by = 0;
      origin.dirty = true;
      return true;
    default:
      return false;
  }
}

}  // namespace hyperdrive::proxy::session::mysql
