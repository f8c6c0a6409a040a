// Client: the messages that no Bind or Describe belongs to: Query, Sync, Flush, FunctionCall, COPY
// data; and what cannot be read.
#include <utility>

#include "proxy/session/postgres/client.hpp"

namespace hyperdrive::proxy::session::postgres {

namespace pg = wire::postgres;
using pg::Frontend;

/// What cannot be read is an error like any other, and the origin knows best how to say it.
Client::Step Client::malformed(const Message& message) {
  if (!need_origin()) return Step::kBlocked;
  if (message.header.is(Frontend::kQuery)) {
    // It is not looked at, so the unnamed statement and portal stay, as behind a FunctionCall.
    forward(message.whole);
    lease_->expect(ReplyKind::kFunctionCall);
    return Step::kDone;
  }
  forward_extended(message.whole);
  streaming_drops_ = false;
  lease_->expect(ReplyKind::kDescribeStatement);
  return Step::kDone;
}

void Client::forward(net::Bytes bytes) { lease_->write(bytes); }

/// What was just forwarded runs `text`.
void Client::expect_run(ReplyKind kind, TextRef text) {
  Expected& entry = lease_->expect(kind);
  if (text && text->copies > 0) {
    const bool several = kind == ReplyKind::kQuery;
    lease_->in_flight().mark_copies(entry, several ? text->copies : std::uint16_t{1});
  }
  if (text && !text->plain && text->analysis) {
    for (const sql::Statement& statement : text->analysis->statements) {
      if (resets(statement)) lease_->in_flight().mark_reset(entry);
      if (changes_definitions(statement)) redefining_ = own_number();
    }
  }
  entry.text = std::move(text);
}

/// Behind an error: of a message that ends its own group. The refusal was its answer then.
bool Client::skips_whole_group() {
  if (lease_ && lease_->ignoring()) return true;
  if (!std::exchange(skip_to_sync_, false)) return false;
  untold_.reset();
  send_ready();
  return true;
}

Client::Step Client::query(const Message& message) {
  const auto query = pg::parse_query(message.body);
  if (untold_ && query) tell_untold(query->text);
  if (skips_whole_group()) return Step::kDone;
  if (!query) return malformed(message);
  const TextRef text = worker_.texts.get_once(query->text);
  if (text->asks_sequences) asks_sequences_ = true;
  if (!text->plain) {
    bool handled = false;
    const Step step = apply_policy(message, *text, handled);
    if (handled || step != Step::kDone) return step;
  }
  if (!need_origin()) return Step::kBlocked;
  if (text->asks_sequences && own_sequences() == Step::kBlocked) return Step::kBlocked;
  if (worker_.gate != nullptr) {
    if (!worker_.gate->may_run(*this, *text)) return wait_for_gate();
    worker_.gate->will_run(*this, *text);
  }
  if (text->moves_sequences) moved_sequences_on(*lease_);
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
    untold_.reset();
    if (message.body.empty()) {
      send_ready();
      return Step::kDone;
    }
    if (!need_origin()) return Step::kBlocked;  // which says what is wrong with it
  }
  forward(message.whole);
  if (lease_->copying_in()) {
    lease_->sync_in_copy();  // ignored there, so nothing will come
    return Step::kDone;
  }
  Expected& entry = lease_->expect(ReplyKind::kSync);
  if (lease_->in_flight().copies_pending()) lease_->in_flight().mark_in_copy(entry);
  lease_->set_open(false);
  lease_->set_ignoring(false);
  parsed_ahead_ = false;
  lease_->answer_fakes();
  return Step::kDone;
}

Client::Step Client::flush(const Message& message) {
  if (!message.body.empty() && !skipping() && !(lease_ && lease_->copying_in())) {
    return malformed(message);
  }
  if (lease_ && !lease_->ignoring()) forward(message.whole);
  return Step::kDone;
}

namespace {

/// The function's OID comes first: that of currval() and lastval(), in every version of Postgres.
bool asks_sequences(net::Bytes call_body) {
  constexpr std::uint32_t kCurrval = 1575;
  constexpr std::uint32_t kLastval = 2559;
  if (call_body.size() < 4) return false;
  const std::uint32_t oid = pg::load_u32(call_body.data());
  return oid == kCurrval || oid == kLastval;
}

}  // namespace

Client::Step Client::function_call(const Message& message) {
  if (skips_whole_group()) return Step::kDone;
  const bool asks = asks_sequences(message.body);
  if (asks) asks_sequences_ = true;
  if (!need_origin()) return Step::kBlocked;
  if (asks && own_sequences() == Step::kBlocked) return Step::kBlocked;
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

}  // namespace hyperdrive::proxy::session::postgres
