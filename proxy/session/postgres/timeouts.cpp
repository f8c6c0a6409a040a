// Client: time limits, cancels, and leaving before the end.
#include "proxy/net/sockets.hpp"
#include "proxy/session/postgres/client.hpp"
#include "proxy/session/postgres/login.hpp"

namespace hyperdrive::proxy::session::postgres {

namespace pg = wire::postgres;

namespace {

constexpr std::chrono::seconds kLoginDeadline{30};
constexpr std::chrono::seconds kCancelPatience{5};
constexpr std::chrono::seconds kAnswerPatience{10};

}  // namespace

void Client::sweep(std::chrono::steady_clock::time_point now) {
  const core::LocalSettings& limits = worker_.options->config.local;
  if (phase_ == Phase::kStartup || phase_ == Phase::kEncrypting || phase_ == Phase::kSasl) {
    if (now > since_ + kLoginDeadline) leave();
    return;
  }
  if (phase_ == Phase::kGone || phase_ == Phase::kCancel) return;
  const auto patience = limits.client_write_timeout;
  if (stream_->unsent() > 0 && patience.count() > 0 && now > stream_->stalled_since() + patience) {
    worker_.telemetry.add(Counter::kWriteTimeouts);
    abandon();
    return;
  }
  if (ended_) sweep_ended(now);
  if (lease_) sweep_lease(now, limits);
}

/// The end, behind the answers to all that was before.
void Client::cannot_read(char type, std::string_view what) {
  if (lease_ && lease_->fatal_seen()) return close_politely();  // the origin has said it
  if (lease_ && lease_->copying_in()) {
    // It waits for data, and answers nothing before they come, or something else.
    what.empty() ? close_politely() : static_cast<void>(break_copy(type));
    return;
  }
  if (lease_ && lease_->open() && !lease_->in_flight().empty()) return await_replies();
  if (answers_are_coming()) return block(Block::kReplies);
  what.empty() ? close_politely() : protocol_violation(what);
}

/// Without another word from the client. Who has said all still wants to hear them. What is behind
/// the last Sync is not answered any more.
bool Client::answers_are_coming() const {
  if (!lease_ || streaming_ > 0 || lease_->copying_in()) return false;
  InFlight& queue = lease_->in_flight();
  if (queue.copies_pending()) return false;
  // A Sync before the data of a COPY is not answered; there must be one behind it.
  bool data = false;
  for (std::size_t i = queue.size(); i > 0; --i) {
    switch (queue[i - 1].kind) {
      case ReplyKind::kCopyEnd:
        data = true;
        break;
      case ReplyKind::kSync:
        return !data;
      case ReplyKind::kQuery:
      case ReplyKind::kFunctionCall:
        return true;
      default:
        break;
    }
  }
  return false;
}

/// Whether somebody still waits for the answer shows only when it is sent: not for long.
void Client::sweep_ended(std::chrono::steady_clock::time_point now) {
  if (lease_ && !deaf_ && now <= std::max(since_, lease_->last_reply()) + kAnswerPatience) {
    // A stream that has ended does not tell when it is drained.
    if (stream_->unsent() == 0) lease_->stream().resume_reading();
    return;
  }
  if (lease_ && lease_->busy()) worker_.start_cancel(*lease_, nullptr);
  leave();
}

void Client::sweep_lease(std::chrono::steady_clock::time_point now,
                         const core::LocalSettings& limits) {
  if (now > lease_->last_reply() + net::kPeerPatience &&
      net::peer_has_vanished(lease_->stream().fd())) {
    return lease_->on_closed(net::CloseReason::kReset);
  }
  InFlight& queue = lease_->in_flight();
  if (queue.empty() || lease_->copying_in()) {
    // The next word is the client's: in a transaction, a pipeline, a COPY, or half a message.
    const bool held = !lease_->at_rest() || mid_message();
    const auto idle = limits.transaction_idle_timeout;
    if (idle.count() > 0 && held && !pinned() && block_ == Block::kNone &&
        now > lease_->last_heard_or_told() + idle) {
      send_error("FATAL", pg::sqlstate::kIdleInTransactionTimeout,
                 "terminating connection due to idle-in-transaction timeout");
      close_politely();
    }
    return;
  }
  const auto limit = limits.query_timeout;
  if (limit.count() <= 0) return;
  const auto since = std::max(queue.front().start, lease_->last_ready());
  if (!cancelled_ && now > since + limit) {
    cancelled_ = lease_->over_limit = true;
    worker_.telemetry.add(Counter::kQueryTimeouts);
    worker_.start_cancel(*lease_, nullptr);
  } else if (cancelled_ && now > since + limit + kCancelPatience) {
    lease_->left.beyond_repair = true;
    send_error("FATAL", pg::sqlstate::kQueryCanceled, "canceling statement due to query timeout");
    close_politely();
  }
}

/// The statement is still here: it never runs.
void Client::cancel_wait() {
  if (waiting()) worker_.pool().forget(*this);
  if (worker_.gate != nullptr) worker_.gate->gone(*this);
  drop_tap();
  worker_.telemetry.add(Counter::kCancels);
  send_error("ERROR", pg::sqlstate::kQueryCanceled, "canceling statement due to user request");
  lose_begin();
  skip_to_sync_ = true;
  unblock(block_);
}

bool Client::cancel(std::function<void()> done) {
  if (phase_ == Phase::kReady && !lease_ && (waiting() || block_ == Block::kGate)) {
    cancel_wait();
    return false;
  }
  if (phase_ != Phase::kReady || !lease_ || !lease_->busy()) {
    worker_.telemetry.add(Counter::kCancelsDropped);
    return false;
  }
  return worker_.start_cancel(*lease_, std::move(done));
}

/// Without a word: the client does not read.
void Client::abandon() {
  if (lease_) lease_->left.beyond_repair |= !lease_->at_rest();
  leave();
}

void Client::time_is_up() {
  // The origin learns that its peer has gone only when it has something to say.
  if (lease_ && lease_->busy()) worker_.start_cancel(*lease_, nullptr);
  if (phase_ != Phase::kReady || own_) return abandon();
  if (lease_) lease_->left.beyond_repair |= !lease_->at_rest();
  send_error("FATAL", pg::sqlstate::kAdminShutdown,
             "terminating connection due to administrator command");
  close_politely();
}

}  // namespace hyperdrive::proxy::session::postgres
