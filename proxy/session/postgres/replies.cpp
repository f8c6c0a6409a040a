// Origin: replies. Headers are read, rows only counted; runs of messages go to the client in one
// copy, and only where a message must not pass is the run cut.
#include <algorithm>
#include <array>
#include <utility>

#include "proxy/session/postgres/client.hpp"
#include "proxy/session/postgres/error_text.hpp"
#include "proxy/session/postgres/origin.hpp"

namespace hyperdrive::proxy::session::postgres {

namespace pg = wire::postgres;
using pg::Backend;

std::size_t Origin::on_data(net::Bytes data) {
  if (parked_) return on_parked_data(data);
  in_on_data_ = true;
  last_reply_ = worker_->loop.now();
  std::size_t at = 0;   // looked at so far
  std::size_t run = 0;  // from here to `at` goes to the client
  const auto cut = [&](std::size_t end) {
    if (end > run) to_client(data.substr(run, end - run));
  };
  while (at < data.size()) {
    if (rest_ > 0) {
      const std::size_t n = std::min(rest_, data.size() - at);
      rest_ -= n;
      at += n;
      if (!rest_forwards_) run = at;
      continue;
    }
    const auto [status, header] = pg::read_header(data.substr(at));
    if (status == pg::ReadStatus::kNeedMore) break;
    if (status != pg::ReadStatus::kOk) {
      broken_ = true;
      break;
    }
    if (header.is(Backend::kDataRow) || header.is(Backend::kCopyData)) {
      rest_forwards_ = forwards();
      if (!rest_forwards_) {
        cut(at);
        run = at;
      }
      rest_ = header.size();
      answer_bytes_ += rest_;
      continue;
    }
    if (data.size() - at < header.size()) break;
    const Pass pass = handle(header, data.substr(at + pg::kHeaderSize, header.body_size()));
    if (pass == Pass::kBroken) {
      broken_ = true;
      break;
    }
    const std::size_t end = at + header.size();
    answer_bytes_ += header.size();
    if (pass != Pass::kForward) {
      cut(at);
      run = end;
      if (pass == Pass::kReplace) to_client(replacement_);
    }
    at = end;
    if (!in_flight_.empty() && in_flight_.front().action == ReplyAction::kFake) {
      cut(at);
      run = at;
      answer_fakes();
    }
  }
  cut(at);
  worker_->telemetry.add(Counter::kBytesFromOrigin, at);
  in_on_data_ = false;
  if (broken_) {
    lost();
    return data.size();
  }
  // What is left of a message that has begun must be read by the same owner.
  if (at == data.size() && rest_ == 0) settle();
  return at;
}

bool Origin::forwards() const {
  if (owner_ == nullptr) return false;
  auto& queue = const_cast<InFlight&>(in_flight_);
  return queue.empty() || queue.front().action == ReplyAction::kForward;
}

void Origin::to_client(net::Bytes bytes) {
  if (owner_ == nullptr) return;
  owner_->to_client(bytes);
  if (owner_->stream().unsent() > net::Stream::kHighWater) stream_->pause_reading();
}

Origin::Pass Origin::handle(const pg::Header& header, net::Bytes body) {
  switch (static_cast<Backend>(header.type)) {
    case Backend::kParseComplete:
      return completed(ReplyKind::kParse);
    case Backend::kBindComplete:
      return completed(ReplyKind::kBind);
    case Backend::kCloseComplete:
      return completed(ReplyKind::kClose);
    case Backend::kParameterDescription:
    case Backend::kRowDescription:
    case Backend::kNoData:
      return described(header, body);
    case Backend::kCommandComplete:
      return command_complete(body);
    case Backend::kEmptyQueryResponse:
    case Backend::kPortalSuspended:
      return empty_query();
    case Backend::kCopyInResponse:
      return copy_in_begins();
    case Backend::kErrorResponse: {
      const Pass pass = error(body);
      if (copy_syncs_ == 0 || pass == Pass::kBroken || fatal_seen_) return pass;
      if (owner_ == nullptr) {
        left.beyond_repair = true;
      } else {
        find_syncs();
      }
      return pass;
    }
    case Backend::kReadyForQuery:
      return ready(body);
    case Backend::kParameterStatus:
      return parameter_status(body);
    case Backend::kNoticeResponse:
    case Backend::kNotificationResponse:
      return asynchronous(header);
    case Backend::kCopyOutResponse:
    case Backend::kCopyDone:
    case Backend::kFunctionCallResponse:
      return forwards() ? Pass::kForward : Pass::kSwallow;
    default:
      return Pass::kBroken;  // CopyBothResponse, authentication: nothing we asked for
  }
}

Origin::Pass Origin::completed(ReplyKind kind) {
  if (in_flight_.empty() || in_flight_.front().kind != kind) return Pass::kBroken;
  Expected& entry = in_flight_.front();
  const Pass pass = forwards() ? Pass::kForward : Pass::kSwallow;
  if (kind == ReplyKind::kParse && entry.unnamed && owner_ != nullptr &&
      entry.action == ReplyAction::kForward) {
    owner_->unnamed_parsed(entry);
  }
  if (entry.unnamed && kind == ReplyKind::kParse) unnamed_there_ = entry.serial;
  if (entry.unnamed && kind == ReplyKind::kClose) unnamed_there_ = kNone;
  if (kind == ReplyKind::kParse && entry.prepared) {
    entry.prepared->accepted.store(true, std::memory_order_relaxed);
  }
  in_flight_.pop();
  return pass;
}

Origin::Pass Origin::described(const pg::Header& header, net::Bytes body) {
  if (in_flight_.empty()) return Pass::kBroken;
  Expected& entry = in_flight_.front();
  const Pass pass = forwards() ? Pass::kForward : Pass::kSwallow;
  const bool is_describe =
      entry.kind == ReplyKind::kDescribeStatement || entry.kind == ReplyKind::kDescribePortal;
  if (!is_describe) return entry.kind == ReplyKind::kQuery ? pass : Pass::kBroken;
  const bool wanted = owner_ != nullptr && (entry.check || entry.named || entry.unnamed);
  if (header.is(Backend::kParameterDescription)) {
    if (wanted) entry.serial = parameters_shape(body);
    if (wanted && entry.prepared) entry.prepared->note_parameters(body);
    return pass;
  }
  if (wanted) {
    Shape shape{entry.serial, header.is(Backend::kNoData) ? kNoRows : rows_shape(body)};
    if (entry.prepared) learn(*entry.prepared, shape);
    if (entry.check) {
      owner_->checked(entry, shape);
    } else {
      owner_->described(entry, shape);
    }
  }
  in_flight_.pop();
  return pass;
}

/// A portal's description tells nothing of parameters.
void Origin::learn(const Statement& statement, const Shape& shape) {
  Shape* known = prepared_.use(statement.id);
  if (known == nullptr) return;
  if (shape.parameters != 0) known->parameters = shape.parameters;
  known->rows = shape.rows;
}

namespace {

std::uint64_t rows_of(net::Bytes tag_body) {
  const auto tag = pg::parse_command_complete(tag_body);
  return tag ? pg::tag_rows(*tag).value_or(0) : 0;
}

}  // namespace

void Origin::tell(Expected& entry, net::Bytes tag, net::Bytes error) {
  owner_->tell(entry, tag, error, answer_rows_, answer_bytes_);
  answer_rows_ = answer_bytes_ = 0;
  last_tag_.clear();
  last_error_.clear();
}

Origin::Pass Origin::command_complete(net::Bytes body) {
  if (in_flight_.empty()) return Pass::kBroken;
  copy_syncs_ = 0;
  Expected& entry = in_flight_.front();
  const Pass pass = forwards() ? Pass::kForward : Pass::kSwallow;
  // Our own settings do not count; the ROLLBACK of a connection that is being finished does.
  if (entry.action == ReplyAction::kForward || owner_ == nullptr) {
    writes.note(pg::parse_command_complete(body).value_or(net::Bytes{}));
    writes.had |= entry.conduct;
  }
  // Nobody is left who would take note of what a RESET, SET or DISCARD has done here.
  if (owner_ == nullptr && entry.text && !entry.text->plain) left.anything = true;
  if (entry.kind == ReplyKind::kQuery) {
    if (owner_ != nullptr && entry.text) owner_->completed(*entry.text, entry.statement, body);
    ++entry.statement;
    // The settings that go before a client's query are not its answer.
    if (owner_ != nullptr && entry.action == ReplyAction::kForward && owner_->told_of()) {
      last_tag_ = body;
      answer_rows_ += rows_of(body);
    }
    return pass;
  }
  if (entry.kind != ReplyKind::kExecute) return Pass::kBroken;
  if (owner_ != nullptr && entry.action == ReplyAction::kForward) {
    worker_->telemetry.add(Counter::kQueries);
    if (entry.text) owner_->completed(*entry.text, 0, body);
    if (owner_->told_of()) {
      answer_rows_ = rows_of(body);
      tell(entry, body, {});
    }
  }
  in_flight_.pop();
  return pass;
}

Origin::Pass Origin::empty_query() {
  if (in_flight_.empty()) return Pass::kBroken;
  const Pass pass = forwards() ? Pass::kForward : Pass::kSwallow;
  const ReplyKind kind = in_flight_.front().kind;
  // Behind all answers to Syncs: the ReadyForQuery that is held was the proxy's own.
  if (in_flight_.front().finds_syncs) finding_syncs_ = ready_held_ = false;
  writes.had |= in_flight_.front().conduct;
  if (kind == ReplyKind::kQuery) return pass;
  if (kind != ReplyKind::kExecute) return Pass::kBroken;
  if (pass == Pass::kForward) worker_->telemetry.add(Counter::kQueries);
  in_flight_.pop();
  return pass;
}

namespace {

/// With the client's name for the statement instead of ours.
std::string renamed_error(net::Bytes body, const std::string& ours, const std::string& clients) {
  return retold(body, '"' + ours + '"', '"' + clients + '"');
}

/// The name that it had as the message was sent: a later one of the pipeline may have given it
/// another.
const std::string& name_there(const Expected& entry) {
  if (entry.kind == ReplyKind::kParse && entry.payload) return *entry.payload;
  return entry.prepared ? entry.prepared->name : entry.named->statement->name;
}

}  // namespace

Origin::Pass Origin::error(net::Bytes body) {
  const auto fields = pg::parse_error_response(body);
  if (!fields) return Pass::kBroken;
  copying_in_ = false;
  if (fields->severity == "FATAL" || fields->severity == "PANIC" || in_flight_.empty()) {
    fatal_seen_ = true;
    return owner_ != nullptr ? Pass::kForward : Pass::kSwallow;
  }
  Expected& head = in_flight_.front();
  const Pass pass = owner_ == nullptr ? Pass::kSwallow : Pass::kForward;
  // Part of what a client left is still there; or the origin has other statements than we believe
  // (a function may have dropped some): nobody else may get such a connection.
  const bool cleaning_failed = cleaning_ && !head.finds_prepared;
  if (cleaning_failed || (head.prepared && fields->sqlstate == pg::sqlstate::kDuplicateStatement) ||
      (head.named && fields->sqlstate == pg::sqlstate::kUndefinedStatement)) {
    left.beyond_repair = true;
  }
  if (head.settings) {
    if (owner_ != nullptr) owner_->settings_applied(false, body);
    broken_ = owner_ == nullptr || broken_;
    head.settings = false;  // told; its ReadyForQuery is swallowed like the rest
    if (head.kind != ReplyKind::kQuery) fail_segment();
    return Pass::kSwallow;
  }
  if (head.finds_prepared) left.prepared = true;
  if (head.statement > 0 || !is_about_text(body)) writes.had |= head.conduct;
  writes.note_error();
  Pass told = pass;
  // A transaction that was believed to have failed may have been ended in the meantime.
  const std::string_view meant =
      head.kind == ReplyKind::kDescribeStatement ? pg::sqlstate::kUndefinedStatement : "42703";
  const bool poisoned =
      fields->sqlstate == meant || (head.in_failed && fields->sqlstate == "25P02");
  if (head.poison && head.payload && poisoned) {
    replacement_ = *head.payload;
    told = owner_ == nullptr ? Pass::kSwallow : Pass::kReplace;
  }
  if (in_flight_.size() > 1 && in_flight_[1].breaks_copy) told = copy_broken(body, told);
  if (told == Pass::kForward && head.named && body.find(name_there(head)) != net::Bytes::npos) {
    replacement_ = renamed_error(body, name_there(head), head.named->name);
    told = Pass::kReplace;
  }
  if (told == Pass::kForward && over_limit && fields->sqlstate == pg::sqlstate::kQueryCanceled) {
    replacement_ = retold(body, "user request", "query timeout");
    told = Pass::kReplace;
  }
  if (told == Pass::kForward) {
    if (auto instead = owner_->said_instead(head, *fields)) {
      replacement_ = std::move(*instead);
      told = Pass::kReplace;
    }
  }
  if (owner_ != nullptr) {
    owner_->failed(head, body);
    if (owner_->told_of()) {
      const bool instead = told == Pass::kReplace && replacement_.size() > pg::kHeaderSize;
      const net::Bytes said =
          instead ? net::Bytes(replacement_).substr(pg::kHeaderSize) : net::Bytes(body);
      if (head.kind == ReplyKind::kQuery) {
        last_error_ = said;
      } else if (head.kind != ReplyKind::kSync) {
        tell(head, {}, said);
      }
    }
  }
  if (head.kind == ReplyKind::kQuery || head.kind == ReplyKind::kFunctionCall ||
      head.kind == ReplyKind::kSync) {
    if (head.action == ReplyAction::kSwallow) return Pass::kSwallow;
    return told;
  }
  fail_segment();
  return told;
}

namespace {

/// Whether a BEGIN sent ahead has failed and the client's group behind it was a Query or
/// FunctionCall, which brings no Sync to be answered.
bool was_alone_behind_begin(const std::vector<Expected>& lost) {
  for (const Expected& entry : lost) {
    if (entry.begins) continue;
    const bool alone = entry.kind == ReplyKind::kQuery || entry.kind == ReplyKind::kFunctionCall;
    return lost.front().begins && alone;
  }
  return false;
}

}  // namespace

/// After an error in the extended protocol the origin skips everything up to the next Sync; so do
/// the entries of what was sent, and what was believed of their success is taken back.
void Origin::fail_segment() {
  std::vector<Expected> lost;
  while (!in_flight_.empty() && in_flight_.front().kind != ReplyKind::kSync &&
         !in_flight_.front().finds_syncs) {
    lost.push_back(std::move(in_flight_.front()));
    in_flight_.pop();
  }
  // Backwards: each step finds what was there when it was done.
  for (std::size_t i = lost.size(); i-- > 0;) undo(lost[i], i == 0);
  const auto is_unnamed = [](const Expected& entry) { return entry.portal; };
  if (owner_ != nullptr && std::ranges::any_of(lost, is_unnamed)) owner_->unnamed_bind_failed();
  ignoring_ = in_flight_.empty() || in_flight_.front().finds_syncs;
  if (ignoring_ && owner_ != nullptr && was_alone_behind_begin(lost)) {
    std::string sync;
    pg::append_empty(sync, pg::Frontend::kSync);
    write(sync);
    expect(ReplyKind::kSync);
    ignoring_ = false;
  }
  // What was skipped has changed nothing.
  if (!unnamed_in_flight() && unnamed_serial != unnamed_there_) {
    unnamed_serial = unnamed_there_;
    unnamed_period = prepared_.period();
  }
  if (owner_ != nullptr) owner_->restore_unnamed();
}

bool Origin::unnamed_in_flight() {
  for (std::size_t i = 0; i < in_flight_.size(); ++i) {
    const Expected& entry = in_flight_[i];
    if (entry.kind == ReplyKind::kQuery) return true;
    if (entry.action == ReplyAction::kFake || !entry.unnamed) continue;
    if (entry.kind == ReplyKind::kParse || entry.kind == ReplyKind::kClose) return true;
  }
  return false;
}

void Origin::undo(Expected& entry, bool failed_itself) {
  switch (entry.kind) {
    case ReplyKind::kParse:
      if (entry.action != ReplyAction::kFake && entry.prepared && !entry.unnamed) {
        prepared_.remove(entry.prepared->id);
      }
      if (entry.unnamed && failed_itself) unnamed_there_ = kSomeones;
      if (owner_ == nullptr) break;
      if (entry.changes_names) owner_->undo_parse(entry);
      if (entry.unnamed && failed_itself && entry.action == ReplyAction::kForward) {
        owner_->unnamed_failed();
      }
      break;
    case ReplyKind::kClose:
      if (entry.action == ReplyAction::kSwallow && entry.serial != 0) {
        prepared_.add(entry.serial, true);
      }
      if (entry.changes_names && owner_ != nullptr) owner_->undo_close(entry);
      break;
    case ReplyKind::kBind:
      if (owner_ != nullptr) owner_->bind_failed(entry);
      break;
    case ReplyKind::kDescribeStatement:
      if (entry.check && owner_ != nullptr) owner_->check_gone();
      break;
    default:
      break;
  }
}

namespace {
std::uint64_t micros(std::chrono::steady_clock::duration duration) {
  const auto count = std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
  return static_cast<std::uint64_t>(std::max<long>(count, 0));
}
}  // namespace

Origin::Pass Origin::ready(net::Bytes body) {
  const auto status = pg::parse_ready_for_query(body);
  if (!status || in_flight_.empty()) return Pass::kBroken;
  if (finding_syncs_ &&
      (in_flight_.front().kind == ReplyKind::kSync || in_flight_.front().finds_syncs)) {
    return ready_of_syncs(*status);
  }
  Expected entry = std::move(in_flight_.front());
  const bool ends = entry.kind == ReplyKind::kSync || entry.kind == ReplyKind::kQuery ||
                    entry.kind == ReplyKind::kFunctionCall;
  if (!ends) return Pass::kBroken;
  status_ = *status;
  over_limit = false;
  last_ready_ = worker_->loop.now();
  copying_in_ = false;
  if (status_ == pg::TransactionStatus::kIdle) prepared_.doubt_provisional();
  if (entry.kind == ReplyKind::kFunctionCall) writes.had |= entry.conduct;
  in_flight_.pop();
  if (*status == pg::TransactionStatus::kIdle && worker_->gate != nullptr) {
    if (in_flight_.empty()) {
      worker_->gate->settle(*this);
    } else {
      writes.pass_idle();
    }
  }
  if (in_flight_.empty()) cleaning_ = false;
  if (entry.kind == ReplyKind::kQuery) unnamed_there_ = kNone;
  if (owner_ == nullptr) return Pass::kSwallow;
  if (entry.settings) owner_->settings_applied(true, {});
  if (entry.action != ReplyAction::kForward) return Pass::kSwallow;
  if (entry.kind != ReplyKind::kSync) {
    worker_->telemetry.add(Counter::kQueries);
    if (entry.kind == ReplyKind::kQuery) owner_->query_done();
    if (owner_->told_of()) tell(entry, last_tag_, last_error_);
  }
  answer_bytes_ = 0;
  const auto spent = worker_->loop.now() - entry.start;
  worker_->telemetry.origin.add(micros(spent));
  worker_->telemetry.query.add(micros(spent + std::exchange(waited_, {})));
  if (*status == pg::TransactionStatus::kIdle) worker_->telemetry.add(Counter::kTransactions);
  owner_->ready(*status);
  return Pass::kForward;
}

Origin::Pass Origin::parameter_status(net::Bytes body) {
  const auto told = pg::parse_parameter_status(body);
  if (!told) return Pass::kBroken;
  identity_.reports = with(identity_.reports, told->name, told->value);
  const bool ours = !in_flight_.empty() && in_flight_.front().action == ReplyAction::kSwallow;
  if (!ours) mark_dirty(told->name);
  if (owner_ == nullptr || ours) return Pass::kSwallow;
  auto instead = owner_->report(identity_.reports, told->name);
  if (!instead) return Pass::kForward;
  replacement_ = std::move(*instead);
  return replacement_.empty() ? Pass::kSwallow : Pass::kReplace;
}

Origin::Pass Origin::asynchronous(const pg::Header& header) {
  if (header.is(Backend::kNotificationResponse)) {
    // The owner's, whatever of the proxy's own is being answered just now.
    left.listens = true;
    return owner_ != nullptr ? Pass::kForward : Pass::kSwallow;
  }
  return forwards() ? Pass::kForward : Pass::kSwallow;
}

void Origin::answer_fakes() {
  while (!in_flight_.empty()) {
    Expected& entry = in_flight_.front();
    if (entry.action != ReplyAction::kFake) return;
    std::string answer;
    if (entry.kind == ReplyKind::kParse) {
      pg::append_empty(answer, Backend::kParseComplete);
    } else if (entry.kind == ReplyKind::kClose) {
      pg::append_empty(answer, Backend::kCloseComplete);
      if (entry.unnamed && owner_ != nullptr) owner_->unnamed_failed();
    } else if (entry.payload) {
      answer = *entry.payload;
    }
    to_client(answer);
    in_flight_.pop();
  }
}

}  // namespace hyperdrive::proxy::session::postgres
