// Client: what each command of a ready session does; COM_STMT_… are in statement_commands.cpp.
#include <utility>

#include "proxy/session/mysql/client.hpp"

namespace hyperdrive::proxy::session::mysql {

namespace my = wire::mysql;
namespace capability = my::capability;
using my::Command;

Client::Step Client::command(const Message& message) {
  if (message.header.sequence != 0) {
    send_error(sequence_, 1156, "08S01", "Got packets out of order");
    close_politely();
    return Step::kGone;
  }
  if (message.header.length == 0) return refuse(1047, "08S01", "Unknown command");
  // The connection it wanted did not come, or could not be prepared.
  if (!pending_error_.empty()) return fail_with(message, std::exchange(pending_error_, {}));
  const Step step = run_command(message);
  if (untold_) tell_refused(message);
  return step;
}

/// The command's answer is `error`, an ERR packet's payload.
Client::Step Client::fail_with(const Message& message, const std::string& error) {
  if (const auto tap = std::exchange(tap_, nullptr)) tap->on_cut();
  if (message.command() == Command::kStmtSendLongData) {
    if (ClientStatement* statement = find_statement(message)) statement->lost_data = error;
    return Step::kDone;
  }
  last_.answered_here(-1);
  if (const auto told = my::parse_err(error)) {
    last_.failed(told->code, told->sqlstate, told->message);
    note_untold(told->sqlstate, told->message);
  }
  answer_error(error);
  waited_us_ = 0;
  if (untold_) tell_refused(message);
  return Step::kDone;
}

Client::Step Client::run_command(const Message& message) {
  switch (message.command()) {
    case Command::kQuit:
      leave();
      return Step::kGone;
    case Command::kPing:
      return ping();
    case Command::kQuery:
      return query(message);
    case Command::kInitDb:
      return init_db(message);
    case Command::kStmtPrepare:
      return stmt_prepare(message);
    case Command::kStmtExecute:
      return stmt_execute(message);
    case Command::kStmtBulkExecute:
      return stmt_bulk_execute(message);
    case Command::kStmtSendLongData:
      return stmt_long_data(message);
    case Command::kStmtClose:
      return stmt_close(message);
    case Command::kStmtReset:
      return stmt_reset(message);
    case Command::kStmtFetch:
      return stmt_fetch(message);
    case Command::kSetOption:
      return set_option(message);
    case Command::kResetConnection:
      return reset_connection();
    case Command::kChangeUser:
      return change_user(message);
    case Command::kFieldList:
      return forward_simple(message, Reply::kFieldList);
    case Command::kStatistics:
      return forward_simple(message, Reply::kStatistics);
    case Command::kProcessInfo:
      return forward_simple(message, Reply::kQuery);
    case Command::kCreateDb:
    case Command::kDropDb:
      return change_databases(message);
    case Command::kRefresh:
      return forward_simple(message, Reply::kOk);
    case Command::kProcessKill: {
      my::Cursor cursor(message.argument());
      const std::uint32_t id = cursor.u32();
      if (!cursor.ok()) return refuse(1047, "08S01", "Unknown command");
      if (worker_.service.worker_of(id) != nullptr) return kill(id, true);
      return forward_simple(message, Reply::kOk);
    }
    default:
      return refuse(
          1047, "08S01",
          "Unknown command (the proxy passes on no replication, shutdown or debug command: "
          "connect to the origin directly)");
  }
}

void Client::forward(const Message& message, Reply reply, net::Bytes payload) {
  running_.since = worker_.loop.now();
  running_.command = message.command();
  reply_begun_ = false;
  lease_->virgin = false;
  if (payload.empty()) {
    lease_->write(message.whole);
  } else {
    std::string packets;
    my::append_packet(packets, 0, payload);
    lease_->write(packets);
  }
  lease_->expect({reply, Purpose::kCommand, sequence_, false, nullptr});
  if (!message.is_whole) start_streaming(message, false);
}

/// COM_PING, and what else changes nothing: answered here, unless only the origin knows the status.
Client::Step Client::ping() {
  if (lease_ && lease_->may_be_in_another_state()) {
    if (!need_origin(nullptr)) return Step::kBlocked;
    running_ = {};
    lease_->send(Command::kPing, {}, {Reply::kOk, Purpose::kCommand, sequence_, false, nullptr});
    running_.since = worker_.loop.now();
    reply_begun_ = false;
    return Step::kDone;
  }
  send_ok();
  last_.answered_here(0);
  return Step::kDone;
}

Client::Step Client::forward_simple(const Message& message, Reply reply) {
  if (!need_origin(nullptr)) return Step::kBlocked;
  running_ = {};
  forward(message, reply);
  return Step::kDone;
}

/// COM_DROP_DB and COM_CREATE_DB: to the gate they are what their statements are.
Client::Step Client::change_databases(const Message& message) {
  if (!need_origin(nullptr)) return Step::kBlocked;
  running_ = {};
  const TextRef text = worker_.texts.get("DROP DATABASE x", lexing_);
  if (!cleared(*text, state_)) return Step::kBlocked;
  forward(message, Reply::kOk);
  return Step::kDone;
}

TextRef Client::text_of(const Message& message) {
  if (!message.is_whole) return TextMemo::cut(message.argument(), lexing_);
  if (asked_text_ && asked_text_->text == message.argument()) return asked_text_;
  TextRef text = worker_.texts.get(message.argument(), lexing_);
  if (text->text.size() > TextMemo::kMaxKept) asked_text_ = text;
  return text;
}

/// As text_of(), for a text that is run once.
TextRef Client::text_to_run(const Message& message) {
  const bool is_kept = worker_.gate != nullptr && worker_.gate->judges_plain_texts();
  const net::Bytes text = message.argument();
  const bool is_looked_at = !is_kept && message.is_whole && text.size() <= TextMemo::kMaxKept;
  return is_looked_at ? worker_.texts.look(text, lexing_) : text_of(message);
}

Client::Step Client::query(const Message& message) {
  const TextRef text = text_to_run(message);
  Step step = Step::kDone;
  if (!text->plain && !may_run(message, *text, step)) return step;
  if (!text->plain && last_.warnings && tells_warnings(*text)) return step;
  const bool free = !lease_ || (lingers_ && !must_hold());
  if (worker_.gate != nullptr && free && message.is_whole && pins_ == 0) {
    if (offered({*text, state_, false, {}, {}, {}}, step)) {
      const bool counts = step == Step::kDone && surely_counts(*text);
      if (counts) remember_read(*text, state_, nullptr, nullptr, {});
      return step;
    }
  }
  if (!need_origin(text.get()) || !cleared(*text, state_)) return Step::kBlocked;
  running_ = {};
  running_.text = text;
  note_before(*text);
  forward(message, Reply::kQuery);
  return Step::kDone;
}

/// Asks the gate; true: the command needs nothing more, or waits (kBlocked).
bool Client::offered(const Question& question, Step& step) {
  if (told_status() != my::status::kAutocommit &&
      (told_status() & (my::status::kAutocommit | my::status::kInTrans)) !=
          my::status::kAutocommit) {
    return false;
  }
  Offer offer = worker_.gate->offer(*this, question);
  switch (offer.verdict) {
    case Verdict::kAnswered:
      worker_.telemetry.add(Counter::kQueries);
      served(question.text);
      return true;
    case Verdict::kWait:
      block(Block::kGate);
      step = Step::kBlocked;
      return true;
    case Verdict::kCapture:
      tap_ = std::move(offer.tap);
      return false;
    case Verdict::kForward:
      return false;
  }
  return false;
}

/// False: the gate has to tell others of it first.
bool Client::cleared(TextInfo& text, const StateRef& state) {
  if (worker_.gate == nullptr || worker_.gate->will_run(*this, *lease_, text, state)) return true;
  block(Block::kGate);
  return false;
}

Client::Step Client::init_db(const Message& message) {
  const net::Bytes database = message.argument();
  if (database == state_->database) return ping();
  if (!need_origin(nullptr)) return Step::kBlocked;
  running_ = {};
  running_.findings = 1u << static_cast<unsigned>(Feature::kUse);
  worker_.telemetry.production_refuses(Feature::kUse);
  running_.text = worker_.texts.get("USE " + std::string(database), lexing_);
  // Taken back in ended(), should the origin refuse.
  asked_database_ = database;
  forward(message, Reply::kOk);
  return Step::kDone;
}

/// CLIENT_MULTI_STATEMENTS on and off.
Client::Step Client::set_option(const Message& message) {
  my::Cursor cursor(message.argument());
  const std::uint16_t option = cursor.u16();
  if (!cursor.ok() || option > 1) return refuse(1047, "08S01", "Unknown command");
  multi_statements_ = option == 0;
  if ((capabilities_ & capability::kDeprecateEof) != 0) {
    my::Ok ok;
    ok.status = told_status();
    packet_to_client(1, my::build_ok(ok, capabilities_, my::reply::kEof));
  } else {
    packet_to_client(1, my::build_eof({0, told_status()}));
  }
  return Step::kDone;
}

/// What the session holds at the origin, and knows of it; the connection has been given back.
void Client::forget_session() {
  pins_ = 0;
  cursors_ = long_data_ = 0;
  statements_.clear();
  last_prepared_ = 0;
  last_.forget();
  kept_.clear();
}

Client::Step Client::reset_connection() {
  if (lease_) {
    if (lease_->in_transaction() || pins_ != 0 || cursors_ > 0 || long_data_ > 0 ||
        one_shot_ != kNoShot) {
      lease_->dirty = true;
    }
    detach_origin(false);
  }
  forget_session();
  // The database stays, as on a server; MySQL forgets what character set was asked for.
  state_ = with_database(login_state_, state_->database);
  const auto profile = worker_.service.profile();
  if (profile && !profile->server.is_mariadb) state_ = with(state_, {"names", "DEFAULT"});
  lexing_ = lexing_of(*state_);
  mode_flags_ = mode_default_;
  send_ok();
  return Step::kDone;
}

Client::Step Client::change_user(const Message& message) {
  const auto change = my::parse_change_user(message.payload, capabilities_);
  if (!change) return refuse(1047, "08S01", "Unknown command");
  const std::string& database = worker_.options->target->database;
  if (!change->database.empty() && change->database != database) {
    pending_error_ =
        my::build_err({1049, "42000", "Unknown database '" + std::string(change->database) + "'"});
  }
  user_ = change->user;
  charset_ = change->charset;
  const std::string refusal = charset_refusal();
  // What the old user left goes, whoever the new one is.
  if (lease_) {
    lease_->dirty = true;
    detach_origin(false);
  }
  forget_session();
  changing_user_ = true;
  since_ = worker_.loop.now();
  if (!refusal.empty()) {
    pending_error_.clear();
    user_not_changed(refusal);
  } else if ((capabilities_ & capability::kPluginAuth) == 0) {
    check_password(my::plugin::kNativePassword, change->auth_response);
  } else {
    switch_method(change->plugin);
  }
  return phase_ == Phase::kGone ? Step::kGone : Step::kDone;
}

/// KILL of one of our own clients, wherever it lives.
Client::Step Client::kill(std::uint32_t id, bool connection) {
  Worker* there = worker_.service.worker_of(id);
  Worker* here = &worker_;
  const std::uint32_t asker = id_;
  const auto answer = [here, asker] {
    here->loop.post([here, asker] {
      if (Client* client = here->find(asker)) client->killed_other();
    });
  };
  if (id == id_) {
    if (connection) {
      if (worker_.service.server().is_mariadb) {
        send_error(sequence_, 1927, "70100", "Connection was killed");
      } else {
        send_error(sequence_, 1317, "70100", "Query execution was interrupted");
      }
      close_politely();
      return Step::kGone;
    }
    send_error(sequence_, 1317, "70100", "Query execution was interrupted");
    return Step::kDone;
  }
  block(Block::kKill);
  there->loop.post([there, id, connection, answer, here, asker] {
    Client* client = there->find(id);
    if (client == nullptr) {
      here->loop.post([here, asker, id] {
        if (Client* self = here->find(asker)) self->no_such_client(id);
      });
      return;
    }
    if (connection) {
      client->kill_connection();
      return answer();
    }
    if (!client->kill_query(answer)) answer();
  });
  // The command is done with, its answer is to come.
  return Step::kDone;
}

void Client::no_such_client(std::uint32_t id) {
  if (phase_ != Phase::kReady || block_ != Block::kKill) return;
  send_error(1, 1094, "HY000", "Unknown thread id: " + std::to_string(id));
  unblock(Block::kKill);
}

}  // namespace hyperdrive::proxy::session::mysql
