// Client: messages of a ready session. Groups are cut here; see group.hpp.
#include <algorithm>

#include "proxy/session/postgres/client.hpp"

namespace hyperdrive::proxy::session::postgres {

namespace pg = wire::postgres;
using pg::Frontend;

namespace {

/// A group larger than this is passed on in pieces; a Bind or CopyData larger than this in slices.
constexpr std::size_t kWholeGroup = 64 * 1024;
constexpr std::size_t kSlice = 32 * 1024;
/// So many messages may wait for their replies.
constexpr std::size_t kMostInFlight = 8192;

bool is_copy(char type) {
  return type == static_cast<char>(Frontend::kCopyData) ||
         type == static_cast<char>(Frontend::kCopyDone) ||
         type == static_cast<char>(Frontend::kCopyFail);
}

bool may_be_sliced(char type) {
  return type == static_cast<char>(Frontend::kBind) ||
         type == static_cast<char>(Frontend::kCopyData);
}

bool ends_group(char type) {
  switch (static_cast<Frontend>(type)) {
    case Frontend::kQuery:
    case Frontend::kSync:
    case Frontend::kFlush:
    case Frontend::kFunctionCall:
    case Frontend::kTerminate:
      return true;
    default:
      return false;
  }
}

/// Of a Bind the names must be here, or so much that they are too long to wait for.
bool may_begin(const pg::Header& header, net::Bytes data) {
  return !header.is(Frontend::kBind) || data.size() >= kSlice ||
         pg::peek_bind_names(data.substr(pg::kHeaderSize)).has_value();
}

bool may_come(char type) {
  return pg::is_frontend_type(type) && type != static_cast<char>(Frontend::kPassword);
}

struct Cut {
  enum class Kind { kNeedMore, kGroup, kPiece, kBig, kBroken } kind = Kind::kNeedMore;
  std::size_t size = 0;
  std::size_t scanned = 0;
  std::string what;  // kBroken: to be told; of a length that cannot be Postgres says nothing
};

/// Where the first group of `data` ends; `from`: what was looked at before.
Cut cut_group(net::Bytes data, std::size_t from) {
  std::size_t at = from;
  while (true) {
    if (at == data.size()) break;
    const bool known = may_come(data[at]);
    const auto [status, header] = pg::read_header(data.substr(at));
    if (status == pg::ReadStatus::kNeedMore && known) break;
    if (at > 0 && (!known || status != pg::ReadStatus::kOk)) return {Cut::Kind::kPiece, at, 0, {}};
    if (!known) {
      return {
          Cut::Kind::kBroken, 0, 0,
          "invalid frontend message type " + std::to_string(static_cast<unsigned char>(data[at]))};
    }
    if (status != pg::ReadStatus::kOk) return {Cut::Kind::kBroken, 0, 0, {}};
    if (is_copy(header.type) && at > 0) return {Cut::Kind::kPiece, at, 0, {}};
    if (data.size() - at < header.size()) {
      if (!may_be_sliced(header.type) || header.size() < kSlice) break;
      if (at > 0) return {Cut::Kind::kPiece, at, 0, {}};
      if (!may_begin(header, data)) break;
      return {Cut::Kind::kBig, header.size(), 0, {}};
    }
    at += header.size();
    if (ends_group(header.type)) return {Cut::Kind::kGroup, at, 0, {}};
    if (is_copy(header.type)) return {Cut::Kind::kPiece, at, 0, {}};
  }
  if (at > kWholeGroup) return {Cut::Kind::kPiece, at, 0, {}};
  return {Cut::Kind::kNeedMore, 0, at, {}};
}

}  // namespace

std::size_t Client::relay(net::Bytes data) {
  goes_on_ = false;
  std::size_t used = 0;
  while (phase_ == Phase::kReady && block_ == Block::kNone && used < data.size()) {
    if (stream_->unsent() > net::Stream::kHighWater) {
      block(Block::kReader);
      break;
    }
    if (streaming_ > 0) {
      used += stream_rest(data.substr(used));
      continue;
    }
    if (owes_many_replies()) {
      await_replies();
      break;
    }
    const net::Bytes rest = data.substr(used);
    Cut cut = cut_group(rest, scanned_);
    if (at_end_ && cut.scanned > 0) cut = {Cut::Kind::kPiece, cut.scanned, 0, {}};
    scanned_ = static_cast<std::uint32_t>(cut.scanned);
    if (cut.kind == Cut::Kind::kNeedMore) break;
    if (cut.kind == Cut::Kind::kBroken) {
      cannot_read(cut.what);
      break;
    }
    if (cut.kind == Cut::Kind::kBig) {
      if (depends_on_replies(rest, false)) {
        block(Block::kReplies);
        break;
      }
      const auto header = pg::read_header(rest).header;
      if (awaits_reset(header)) {
        await_replies();
        break;
      }
      const Message big{header, rest, rest.substr(pg::kHeaderSize), {}};
      if (begin_big(big) != Step::kDone) break;
      used += rest.size();
      continue;
    }
    const net::Bytes group = rest.substr(0, cut.size);
    if (cut.kind == Cut::Kind::kGroup &&
        (end_answered(group) || (rest.size() == cut.size && begin_answered(group)))) {
      used += cut.size;
      continue;
    }
    const std::size_t ran = run_group(group, cut.kind == Cut::Kind::kGroup);
    used += ran;
    if (ran < cut.size) break;
  }
  if (phase_ == Phase::kGone) return data.size();
  worker_.texts.forget_large();
  worker_.telemetry.add(Counter::kBytesFromClients, used);
  if (lease_) {
    if (block_ == Block::kNone && lease_->stream().unsent() > net::Stream::kHighWater) {
      block(Block::kPressure);
    } else if (block_ == Block::kNone && lease_->at_rest() && !pinned() && !mid_message()) {
      lease_over();
    }
  } else if (leaving_ && block_ == Block::kNone) {
    shut_down();  // what it waited for came from memory
  }
  return used;
}

/// While the origin takes COPY data it answers nothing, and the data is still to come.
bool Client::owes_many_replies() const {
  return lease_ && lease_->in_flight().size() > kMostInFlight && !lease_->copying_in() &&
         !lease_->in_flight().copies_pending();
}

/// Runs the messages of a group, or of a piece of one; returns how many bytes are done with.
std::size_t Client::run_group(net::Bytes group, bool whole) {
  if (whole && worker_.gate != nullptr && !skip_to_sync_ && !begun_ && !begin_lost_ &&
      (!lease_ || lease_->at_flush())) {
    Step step = Step::kDone;
    if (offered(group, step)) return step == Step::kDone ? group.size() : 0;
  }
  if (depends_on_replies(group, whole)) {
    block(Block::kReplies);
    return 0;
  }
  if (reapply_ && lease_ && !need_origin()) return 0;
  std::size_t at = 0;
  while (at < group.size()) {
    const pg::Header header = pg::read_header(group.substr(at)).header;
    const net::Bytes bytes = group.substr(at, header.size());
    const Message one{header, bytes, bytes.substr(pg::kHeaderSize),
                      group.substr(at + bytes.size())};
    if (awaits_reset(header)) {
      await_replies();
      return at;
    }
    const Step step = message(one);
    if (step == Step::kBlocked) return at;
    at += bytes.size();
    if (step == Step::kGone) break;
  }
  return at;
}

/// Asks the gate; true: the group needs nothing more, or waits (kBlocked).
bool Client::offered(net::Bytes group, Step& step) {
  Offer offer = worker_.gate->offer(*this, group);
  switch (offer.verdict) {
    case Verdict::kAnswered:
      adopt(group, offer.told);
      worker_.telemetry.add(Counter::kQueries);
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

/// Whether what this group's names mean depends on replies to an earlier group, which may have
/// failed before its Parse or Close: what the client believes of its names, what the connection has
/// prepared, and whose unnamed statement it has. A group that brings its own unnamed statement
/// depends on nothing, so pipelines of those flow.
bool Client::depends_on_replies(net::Bytes group, bool whole) const {
  if (lease_ && lease_->finding_syncs()) return true;
  if (!lease_ || lease_->open() || lease_->in_flight().empty()) return false;
  // The data of a COPY names nothing, and its replies come only when the data has.
  if (!group.empty() && is_copy(group.front())) return false;
  InFlight& queue = lease_->in_flight();
  // What the origin reads while it takes COPY data fails the COPY and is not answered itself.
  if (lease_->copying_in()) return false;
  // A Sync there is ignored; behind the data the answer waits for it.
  const bool syncs = !group.empty() && group.front() == static_cast<char>(Frontend::kSync);
  if (syncs && (queue.copies_pending() || queue.back().kind == ReplyKind::kCopyEnd)) return false;
  // If the data are refused, Syncs must be counted before anything else is answered.
  if (!syncs && (queue.copy_being_answered() || lease_->has_ignored_syncs())) return true;
  if (queue.begin_pending()) {
    // If it fails, what is behind its group must not run; the first group goes with it.
    return !queue.back().begins;
  }
  if (queue.resets_pending() || queue.copies_pending()) return true;
  // An error may take back what was sent behind a RESET.
  if (reapply_ || reapplied_) return true;
  const bool names = queue.names_uncertain() || queue.prepared_uncertain();
  const bool unnamed = queue.unnamed_uncertain();
  // Whether the transaction has failed meanwhile decides what a known statement's Parse answers.
  const bool parse = names || in_transaction();
  if (!names && !unnamed && !parse) return false;
  bool own_unnamed = false;
  while (group.size() >= pg::kHeaderSize) {
    const pg::Header header = pg::read_header(group).header;
    const net::Bytes body = group.substr(pg::kHeaderSize, header.body_size());
    bool named = false;
    switch (static_cast<Frontend>(header.type)) {
      case Frontend::kParse:
        named = !body.empty() && body[0] != '\0';
        if (named && parse) return true;
        own_unnamed = own_unnamed || !named;
        break;
      case Frontend::kBind:
        named = !pg::peek_bind_names(body).value_or(pg::BindNames{}).statement.empty();
        if (named ? names : unnamed && !own_unnamed) return true;
        break;
      case Frontend::kDescribe:
      case Frontend::kClose:
        if (body.empty() || body[0] != static_cast<char>(pg::Target::kStatement)) break;
        named = body.size() > 1 && body[1] != '\0';
        if (named ? names : unnamed && !own_unnamed) return true;
        break;
      default:
        break;
    }
    group.remove_prefix(std::min(group.size(), header.size()));
  }
  return !whole && (names || unnamed);
}

/// Anything but data, Sync and Flush ends a COPY with an error, which answers the COPY alone;
/// unless the COPY has failed already, which is not known here before its error arrives.
bool Client::breaks_copy(const Message& message) const {
  const pg::Header& header = message.header;
  return lease_ && lease_->copying_in() && !is_copy(header.type) && !header.is(Frontend::kSync) &&
         !header.is(Frontend::kFlush) && !header.is(Frontend::kTerminate);
}

/// Whether a RESET ALL or DISCARD ALL earlier in this group must be answered first: it decides what
/// the names behind it mean. Sync only says that there is no more.
bool Client::awaits_reset(const pg::Header& header) const {
  return lease_ && lease_->open() && lease_->in_flight().resets_pending() && !lease_->ignoring() &&
         !header.is(Frontend::kSync) && !header.is(Frontend::kFlush) &&
         !header.is(Frontend::kTerminate);
}

/// Nothing more is read until everything sent is answered, which in an open pipeline takes a Flush.
void Client::await_replies() {
  if (lease_->open()) {
    std::string& out = worker_.scratch;
    pg::append_empty(out, Frontend::kFlush);
    forward_extended(out);
    out.clear();
  }
  block(Block::kReplies);
}

Client::Step Client::message(const Message& message) {
  if (breaks_copy(message)) return break_copy(message.header);
  if (refused_as_failed(message)) return Step::kDone;
  switch (static_cast<Frontend>(message.header.type)) {
    case Frontend::kQuery:
      return query(message);
    case Frontend::kParse:
      return parse(message);
    case Frontend::kBind:
      return bind(message);
    case Frontend::kDescribe:
      return describe(message);
    case Frontend::kExecute:
      return execute(message);
    case Frontend::kClose:
      return close_name(message);
    case Frontend::kSync:
      return sync(message);
    case Frontend::kFlush:
      return flush(message);
    case Frontend::kFunctionCall:
      return function_call(message);
    case Frontend::kCopyData:
    case Frontend::kCopyDone:
    case Frontend::kCopyFail:
      return copy(message);
    case Frontend::kTerminate:
      if (answers_are_coming()) {
        has_ended();
        block(Block::kReplies);
        return Step::kBlocked;
      }
      stream_->unsent() > 0 ? close_politely() : leave();
      return Step::kGone;
    case Frontend::kPassword:
      break;
  }
  protocol_violation("unexpected message");
  return Step::kGone;
}

/// After an error everything up to the next Sync is skipped: at the origin, or here when a group
/// got no connection.
bool Client::skipping() const { return skip_to_sync_ || (lease_ && lease_->ignoring()); }

bool Client::need_origin() {
  if (!lease_) {
    // What it had is being cleaned: its process id and lastval() are there and nowhere else.
    if (!std::exchange(stayed_away_, false) && worker_.is_finishing_one_for(*this)) {
      worker_.pool().acquire_returning(*this);
      block(Block::kLease);
      return false;
    }
    auto origin = worker_.pool().acquire(*this);
    if (!origin) {
      block(Block::kLease);
      return false;
    }
    attach(std::unique_ptr<Origin>(static_cast<Origin*>(origin.release())));
    worker_.telemetry.add(Counter::kRoundTrips);
  } else if (reapply_ && lease_->in_flight().empty() && !lease_->ignoring() &&
             !in_failed_transaction()) {
    reapply();
  }
  return block_ == Block::kNone;
}

/// What the session began with, behind a RESET that took it away. Where that named its settings,
/// all others stay as they are: the transaction may have its own. RESET ALL leaves whom it has
/// become.
void Client::reapply() {
  const bool all = reset_names_.empty();
  const std::vector<std::string> others =
      all ? lease_->set_identity_aside() : lease_->set_dirty_aside(reset_names_);
  const SettingsRef wants = all ? with_those_of(settings_, lease_->applied(), others)
                                : with_those_of(lease_->applied(), settings_, reset_names_);
  const bool open = lease_->open();
  const bool in_transaction = lease_->status() != pg::TransactionStatus::kIdle;
  // A Query would take the unnamed portal of the transaction with it.
  if ((open || in_transaction) && lease_->apply_in_pipeline(wants)) {
    if (!open) lease_->end_own_pipeline();
    reapplied_ = true;
    reapplies(false);
    if (must_be_confirmed(wants) && !lease_->in_flight().empty()) await_replies();
  } else if (!open) {
    reapplied_ = in_transaction;
    reapplies(false);
    if (lease_->apply(wants) && must_be_confirmed(wants)) block(Block::kSettings);
  }
  // A savepoint would bring back what was before.
  lease_->left.hidden |= in_transaction;
  for (const std::string& name : others) lease_->mark_dirty(name);
}

void Client::reapplies(bool everything) {
  reapply_ = everything;
  reset_names_.clear();
}

/// A RESET that takes away what the startup packet has asked for.
bool Client::resets(const sql::Statement& statement) const {
  if (statement.effect == sql::Effect::kDiscard) return statement.argument == "ALL";
  if (statement.effect == sql::Effect::kReset && statement.settings.empty()) {
    return statement.argument.empty();
  }
  return startup_ && std::any_of(statement.settings.begin(), statement.settings.end(),
                                 [&](const sql::Setting& setting) {
                                   return setting.is_default && !setting.is_local &&
                                          startup_->find(setting.name) != nullptr;
                                 });
}

Client::Step Client::wait_for_gate() {
  block(Block::kGate);
  return Step::kBlocked;
}

/// What cannot be read is an error like any other, as it is for Postgres.
Client::Step Client::malformed(const Message& message) {
  const pg::Header& header = message.header;
  const bool describes = header.is(Frontend::kDescribe);
  std::string what = "invalid message format";
  if ((describes || header.is(Frontend::kClose)) && message.body.size() > 1 &&
      message.body.find('\0', 1) == message.body.size() - 1) {
    what = describes ? "invalid DESCRIBE message subtype " : "invalid CLOSE message subtype ";
    what += std::to_string(static_cast<unsigned char>(message.body.front()));
  }
  if (header.is(Frontend::kQuery) || header.is(Frontend::kFunctionCall)) {
    return refuse_with(message, pg::sqlstate::kProtocolViolation, what);
  }
  if (!need_origin()) return Step::kBlocked;
  fail_surely({"ERROR", pg::sqlstate::kProtocolViolation, what});
  return Step::kDone;
}

void Client::forward(net::Bytes bytes) { lease_->write(bytes); }

/// What was just forwarded runs `text`.
void Client::expect_run(ReplyKind kind, TextRef text) {
  Expected& entry = lease_->expect(kind);
  if (text && text->may_copy_in) lease_->in_flight().mark_copy(entry);
  if (text && !text->plain && text->analysis) {
    for (const sql::Statement& statement : text->analysis->statements) {
      if (resets(statement)) lease_->in_flight().mark_reset(entry);
    }
  }
  entry.text = std::move(text);
}

Client::Step Client::query(const Message& message) {
  if (lease_ && lease_->ignoring()) return Step::kDone;
  if (skip_to_sync_) {
    // The refusal was this query's answer; a Query ends its own group.
    skip_to_sync_ = false;
    send_ready();
    return Step::kDone;
  }
  const auto query = pg::parse_query(message.body);
  if (!query) return malformed(message);
  const TextRef text = worker_.texts.get_once(query->text);
  if (text->asks_sequences) asks_sequences_ = true;
  if (!text->plain) {
    bool handled = false;
    const Step step = apply_policy(message, *text, handled);
    if (handled || step != Step::kDone) return step;
  }
  if (!need_origin()) return Step::kBlocked;
  if (worker_.gate != nullptr) {
    if (!worker_.gate->may_run(*this, *text)) return wait_for_gate();
    worker_.gate->will_run(*this, *text);
  }
  own_sequences(*text);
  if (text->terminates) worker_.service.note_termination(worker_.loop.now());
  forward(message.whole);
  expect_run(ReplyKind::kQuery, text);
  query_sent();
  return Step::kDone;
}

/// It ends the pipeline before it, and takes the place of the unnamed statement and portal.
void Client::query_sent() {
  lease_->set_open(false);
  lease_->unnamed_serial = Origin::kNone;
  unnamed_ = {};
  portal_ = {};
}

Client::Step Client::sync(const Message& message) {
  if (skip_to_sync_ || !lease_) {
    if (waiting()) return Step::kBlocked;
    skip_to_sync_ = false;
    send_ready();
    return Step::kDone;
  }
  forward(message.whole);
  if (lease_->copying_in()) {
    lease_->sync_in_copy();  // ignored there, so nothing will come
    return Step::kDone;
  }
  lease_->expect(ReplyKind::kSync);
  lease_->set_open(false);
  lease_->set_ignoring(false);
  parsed_ahead_ = false;
  lease_->answer_fakes();
  return Step::kDone;
}

Client::Step Client::flush(const Message& message) {
  if (lease_ && !lease_->ignoring()) forward(message.whole);
  return Step::kDone;
}

Client::Step Client::function_call(const Message& message) {
  if (lease_ && lease_->ignoring()) return Step::kDone;
  if (skip_to_sync_) {
    skip_to_sync_ = false;
    send_ready();
    return Step::kDone;
  }
  if (!need_origin()) return Step::kBlocked;
  if (worker_.gate != nullptr) {
    if (!worker_.gate->may_call(*this)) return wait_for_gate();
    worker_.gate->will_call(*this);
  }
  forward(message.whole);
  lease_->expect(ReplyKind::kFunctionCall);
  lease_->set_open(false);
  // Whatever it called may have left anything.
  lease_->left.anything = true;
  return Step::kDone;
}

/// CopyData, CopyDone, CopyFail; outside a COPY they are ignored, here as there.
Client::Step Client::copy(const Message& message) {
  if (!lease_ || skipping() || lease_->in_flight().empty()) return Step::kDone;
  forward(message.whole);
  if (message.header.is(Frontend::kCopyData)) return Step::kDone;
  if (lease_->copying_in()) {
    lease_->copy_ended();
  } else {
    lease_->expect(ReplyKind::kCopyEnd);
    lease_->in_flight().copy_data_ends();
  }
  return Step::kDone;
}

/// A Bind or CopyData of which only the beginning is here: its names are dealt with, the rest is
/// passed on as it comes.
Client::Step Client::begin_big(const Message& message) {
  if (breaks_copy(message)) return break_copy(message.header);
  if (refused_as_failed(message)) {
    streaming_drops_ = true;
  } else if (message.header.is(Frontend::kCopyData)) {
    streaming_drops_ = !lease_ || skipping() || lease_->in_flight().empty();
    if (!streaming_drops_) forward(message.whole);
  } else {
    streaming_drops_ = true;  // unless its beginning is passed on
    const Step step = bind(message);
    if (step != Step::kDone) return step;
  }
  streaming_ = message.header.size() - message.whole.size();
  return Step::kDone;
}

std::size_t Client::stream_rest(net::Bytes data) {
  const std::size_t n = std::min(streaming_, data.size());
  streaming_ -= n;
  if (!streaming_drops_ && lease_) {
    forward(data.substr(0, n));
    if (lease_->stream().unsent() > net::Stream::kHighWater) block(Block::kPressure);
  }
  return n;
}

}  // namespace hyperdrive::proxy::session::postgres
