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
/// Likewise where a COPY may be about to begin, in which what is sent has no replies.
constexpr std::size_t kMostBeforeCopy = 65'536;

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
    const net::Bytes scanned = rest.substr(0, cut.scanned);
    if (!scanned.empty() &&
        (at_end_ || (scanned.size() == rest.size() && may_begin_copy(scanned)))) {
      cut = {Cut::Kind::kPiece, cut.scanned, 0, {}};
    }
    scanned_ = static_cast<std::uint32_t>(cut.scanned);
    if (cut.kind == Cut::Kind::kNeedMore) break;
    if (cut.kind == Cut::Kind::kBroken) {
      cannot_read(rest.front(), cut.what);
      break;
    }
    if (cut.kind == Cut::Kind::kBig) {
      if (depends_on_replies(rest, false)) {
        await_replies();
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

/// Whether the last of these messages may: that is answered at once, without a Sync or Flush.
bool Client::may_begin_copy(net::Bytes messages) const {
  const auto copies = [](const TextRef& text) { return text && text->copies > 0; };
  bool any = false;
  bool executes = false;
  while (messages.size() >= pg::kHeaderSize) {
    const pg::Header header = pg::read_header(messages).header;
    const net::Bytes body = messages.substr(pg::kHeaderSize, header.body_size());
    executes = header.is(Frontend::kExecute);
    if (header.is(Frontend::kParse)) {
      const auto parse = pg::parse_parse(body);
      any = any || (parse && copies(worker_.texts.get(parse->text)));
    } else if (header.is(Frontend::kBind)) {
      const auto names = pg::peek_bind_names(body);
      any = any || (names && copies(meaning(names->statement).text));
    } else if (const auto execute = pg::parse_execute(executes ? body : net::Bytes{})) {
      any = any || copies(find_portal(execute->portal).text);
    }
    messages.remove_prefix(std::min(messages.size(), header.size()));
  }
  return any && executes;
}

/// While the origin takes COPY data it answers nothing, and the data is still to come.
bool Client::owes_many_replies() const {
  if (!lease_ || lease_->copying_in()) return false;
  const bool may_copy = lease_->in_flight().copies_pending();
  return lease_->in_flight().size() > (may_copy ? kMostBeforeCopy : kMostInFlight);
}

/// Runs the messages of a group, or of a piece of one; returns how many bytes are done with.
std::size_t Client::run_group(net::Bytes group, bool whole) {
  if (whole && worker_.gate != nullptr && !skip_to_sync_ && !begun_ && !begin_lost_ &&
      (!lease_ || lease_->at_flush())) {
    Step step = Step::kDone;
    if (offered(group, step)) return step == Step::kDone ? group.size() : 0;
  }
  if (depends_on_replies(group, whole)) {
    await_replies();
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
  if (!lease_ || lease_->in_flight().empty()) return false;
  // The data of a COPY names nothing, and its replies come only when the data has.
  if (!group.empty() && is_copy(group.front())) return false;
  InFlight& queue = lease_->in_flight();
  // What the origin reads while it takes COPY data fails the COPY and is not answered itself.
  if (lease_->copying_in()) return false;
  // If the data are refused, Syncs must be counted before anything else is answered.
  const bool syncs = !group.empty() && group.front() == static_cast<char>(Frontend::kSync);
  if (!syncs && (queue.has_syncs_in_copy() || lease_->has_ignored_syncs())) return true;
  if (lease_->open()) return false;
  if (queue.begin_pending()) {
    // If it fails, what is behind its group must not run; the first group goes with it.
    return !queue.back().begins;
  }
  // A Sync there is ignored; behind the data the answer waits for it.
  if (syncs && (queue.copies_pending() || queue.back().kind == ReplyKind::kCopyEnd)) return false;
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
  if (breaks_copy(message)) return break_copy(message.header.type);
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

Client::Step Client::wait_for_gate() {
  block(Block::kGate);
  return Step::kBlocked;
}

/// A Bind or CopyData of which only the beginning is here: its names are dealt with, the rest is
/// passed on as it comes.
Client::Step Client::begin_big(const Message& message) {
  if (breaks_copy(message)) return break_copy(message.header.type);
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
    if (streaming_ == 0) lease_->rest_sent();
    if (block_ == Block::kNone && lease_->stream().unsent() > net::Stream::kHighWater) {
      block(Block::kPressure);
    }
  }
  return n;
}

}  // namespace hyperdrive::proxy::session::postgres
