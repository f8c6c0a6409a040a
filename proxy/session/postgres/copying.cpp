// COPY FROM STDIN: data goes on its way unread, while the origin may have refused it already. What
// a Sync or Query that was sent behind the data means is known only when the error has come.
#include <utility>

#include "proxy/session/postgres/client.hpp"
#include "proxy/session/postgres/error_text.hpp"
#include "proxy/session/postgres/origin.hpp"

namespace hyperdrive::proxy::session::postgres {

namespace pg = wire::postgres;
using pg::Frontend;

/// An empty Query goes in the message's place: it breaks the COPY as well, and where there is none
/// any more it harms nothing. Then the message's own turn comes.
Client::Step Client::break_copy(char type) {
  lease_->copy_ended();
  Expected& entry = lease_->find_syncs();
  entry.breaks_copy = true;
  entry.serial = static_cast<unsigned char>(type);
  return Step::kBlocked;
}

/// Nothing goes out before it is known which Syncs of a failed COPY were answered.
void Client::await_syncs() {
  if (block_ == Block::kNone) block(Block::kReplies);
}

// --- the origin's answers -----------------------------------------------------------------------

Origin::Pass Origin::copy_in_begins() {
  if (in_flight_.empty()) return Pass::kBroken;  // a lease that waits for its end would never end
  const Pass pass = forwards() ? Pass::kForward : Pass::kSwallow;
  copying_in_ = true;
  copy_began_ = true;
  drop_copy_syncs();
  return pass;
}

/// While the origin takes COPY data it ignores Sync: those sent before the data's end get no
/// answer, unless the COPY fails before it reads them. What is behind that end is not this COPY's.
void Origin::drop_copy_syncs() {
  bool dropped = false;
  bool ended = false;  // by a Sync that counts
  in_flight_.erase_if(1, [&](const Expected& entry) {
    const bool in_data = copying_in_;
    if (entry.kind == ReplyKind::kCopyEnd) copying_in_ = false;
    if (entry.kind != ReplyKind::kSync) return in_data && !copying_in_;
    if (in_data) {
      dropped = true;
      ++copy_syncs_;
    } else {
      ended = true;
    }
    return in_data;
  });
  if (copying_in_) in_flight_.copy_begins();
  if (dropped && !ended && in_flight_.front().kind == ReplyKind::kExecute) open_ = true;
}

/// A COPY has failed, or is about to, in which Syncs were sent. How many of them the origin had
/// ignored by then shows in how many ReadyForQuery come before the answer to an empty Query; the
/// Sync before that Query, so that it is not skipped, adds one. Behind the half of a CopyData the
/// question waits for the rest.
Expected& Origin::find_syncs() {
  copy_syncs_ = 0;
  finding_syncs_ = true;
  asks_behind_rest_ = owner_->mid_message();
  if (!asks_behind_rest_) ask_for_syncs();
  unnamed_serial = kNone;
  Expected& entry = expect(ReplyKind::kQuery, ReplyAction::kSwallow);
  entry.finds_syncs = true;
  return entry;
}

void Origin::ask_for_syncs() {
  std::string message;
  pg::append_empty(message, pg::Frontend::kSync);
  pg::append_query(message, "");
  write(message);
  owner_->await_syncs();
}

void Origin::rest_sent() {
  if (std::exchange(asks_behind_rest_, false)) ask_for_syncs();
}

/// All of them are alike, so each is passed on when the next one shows that it was not the last.
Origin::Pass Origin::ready_of_syncs(pg::TransactionStatus status) {
  status_ = status;
  last_ready_ = worker_->loop.now();
  if (in_flight_.front().kind == ReplyKind::kSync) in_flight_.pop();
  if (status == pg::TransactionStatus::kIdle && worker_->gate != nullptr) writes.pass_idle();
  if (!std::exchange(ready_held_, true)) return Pass::kSwallow;
  ignoring_ = false;
  if (owner_ == nullptr) return Pass::kSwallow;
  owner_->ready(status);
  return Pass::kForward;
}

/// A COPY's error while the empty Query that was to break it is on its way: if it did, it is not
/// answered, and its error is about the message in whose place it went.
Origin::Pass Origin::copy_broken(net::Bytes body, Pass pass) {
  const auto fields = pg::parse_error_response(body);
  if (!fields || fields->sqlstate != pg::sqlstate::kProtocolViolation) return pass;
  const std::uint64_t type = in_flight_[1].serial;
  in_flight_.erase(1);
  finding_syncs_ = false;
  if (pass != Pass::kForward) return pass;
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  replacement_ =
      retold(body, "0x51", std::string{"0x"} + kDigits[type >> 4 & 15] + kDigits[type & 15]);
  return Pass::kReplace;
}

}  // namespace hyperdrive::proxy::session::postgres
