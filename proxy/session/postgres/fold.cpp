// Client: a BEGIN that is answered here and sent with the first statement behind it (fold_begin).
//
//   client   BEGIN ──► answered: BEGIN, ReadyForQuery 'T'; nothing is sent, nothing is leased
//            SELECT ──► Parse Bind Execute of the BEGIN, then the statement, in one write
//   origin   … its three replies are swallowed, the statement's are the client's
//
// The BEGIN goes by the extended protocol and without a Sync of its own: if it fails, the origin
// skips what is behind it up to a Sync, so that the statement never runs outside of the transaction
// that it was meant for. Its error is then the statement's. A Query brings no Sync, so one is sent
// behind it when the error comes (Origin::fail_segment). What follows that first group waits until
// the BEGIN has been answered. COMMIT or ROLLBACK with nothing sent are answered here, too.
#include "proxy/session/postgres/client.hpp"
#include "proxy/session/postgres/transaction_words.hpp"

namespace hyperdrive::proxy::session::postgres {

namespace pg = wire::postgres;
using pg::Backend;
using pg::Frontend;

struct Client::Lone {
  std::string_view text;
  bool simple = false;
  bool parses = false;
  bool describes_statement = false;
  bool describes_portal = false;
};

namespace {

/// The messages of a whole group, one by one.
class Group {
 public:
  explicit Group(net::Bytes bytes) : rest_(bytes) {}

  bool next_is(Frontend type) const {
    return rest_.size() >= pg::kHeaderSize && pg::read_header(rest_).header.is(type);
  }
  net::Bytes take() {
    const pg::Header header = pg::read_header(rest_).header;
    const net::Bytes body = rest_.substr(pg::kHeaderSize, header.body_size());
    rest_.remove_prefix(header.size());
    return body;
  }
  bool take_describe(pg::Target target, std::string_view name) {
    if (!next_is(Frontend::kDescribe)) return false;
    const auto what = pg::parse_describe(take());
    return what && what->target == target && what->name == name;
  }

 private:
  net::Bytes rest_;
};

}  // namespace

/// The text, if the group does nothing but run it once, without values.
std::optional<Client::Lone> Client::lone_statement(net::Bytes bytes) const {
  Group group(bytes);
  Lone lone;
  if (group.next_is(Frontend::kQuery)) {
    const auto query = pg::parse_query(group.take());
    if (!query) return std::nullopt;
    lone.text = query->text;
    lone.simple = true;
    return lone;
  }
  std::string_view name;
  if (group.next_is(Frontend::kParse)) {
    const auto parse = pg::parse_parse(group.take());
    if (!parse || parse->types.begin() != parse->types.end()) return std::nullopt;
    name = parse->name;
    // A name that is taken is the origin's error to make.
    if (!name.empty() && names_.contains(known_name(name))) return std::nullopt;
    lone.text = parse->text;
    lone.parses = true;
    lone.describes_statement = group.take_describe(pg::Target::kStatement, name);
  }
  if (!group.next_is(Frontend::kBind)) return std::nullopt;
  const auto bind = pg::parse_bind(group.take());
  if (!bind) return std::nullopt;
  if (!lone.parses) {
    name = bind->statement;
    const Meaning known = meaning(name);
    const bool takes_values = known.statement && !known.statement->types.empty();
    if (!known.found || takes_values) return std::nullopt;
    lone.text = known.text->text;  // which this session keeps
  }
  if (!bind->portal.empty() || bind->statement != name ||
      bind->parameters.begin() != bind->parameters.end() ||
      bind->parameter_formats.begin() != bind->parameter_formats.end()) {
    return std::nullopt;
  }
  lone.describes_portal = group.take_describe(pg::Target::kPortal, "");
  if (!group.next_is(Frontend::kExecute)) return std::nullopt;
  const auto execute = pg::parse_execute(group.take());
  if (!execute || !execute->portal.empty() || !group.next_is(Frontend::kSync)) return std::nullopt;
  return lone;
}

/// A BEGIN with nothing behind it yet: who sends more at once gains nothing by waiting.
bool Client::begin_answered(net::Bytes group) {
  if (lease_ || begun_ || begin_lost_ || skip_to_sync_ || !worker_.options->config.local.fold_begin)
    return false;
  const auto lone = lone_statement(group);
  if (!lone) return false;
  const std::string_view tag = begin_tag(lone->text);
  if (tag.empty()) return false;
  begun_ = worker_.texts.get(lone->text);
  begun_portal_ = !lone->simple;
  begins_ = true;
  worker_.telemetry.add(Counter::kBeginsFolded);
  answer_lone(*lone, group, tag);
  return true;
}

/// The end of a transaction of which the origin has never heard.
bool Client::end_answered(net::Bytes group) {
  if (!begun_ && (!begin_lost_ || skip_to_sync_)) return false;
  const auto lone = lone_statement(group);
  if (!lone) return false;
  std::string_view tag = end_tag(lone->text);
  if (tag.empty()) return false;
  if (std::exchange(begin_lost_, false)) tag = "ROLLBACK";
  forget_begin();
  worker_.telemetry.add(Counter::kTransactions);
  answer_lone(*lone, group, tag);
  return true;
}

void Client::forget_begin() {
  if (!begun_) return;
  begun_.reset();
  begins_ = false;
}

/// The first statement behind it was not sent: what was meant to follow must not run alone.
void Client::lose_begin() {
  begin_lost_ = begin_lost_ || begun_;
  forget_begin();
}

/// What a server says to anything but the end of a transaction that has failed.
bool Client::refused_as_failed(const Message& message) {
  if (!begin_lost_ || skip_to_sync_) return false;
  const pg::Header& header = message.header;
  const bool alone = header.is(Frontend::kQuery) || header.is(Frontend::kFunctionCall);
  const bool extended = header.is(Frontend::kParse) || header.is(Frontend::kBind) ||
                        header.is(Frontend::kDescribe) || header.is(Frontend::kExecute);
  if (!alone && !extended) return false;
  send_error("ERROR", pg::sqlstate::kInFailedSqlTransaction,
             "current transaction is aborted, commands ignored until end of transaction block");
  skip_to_sync_ = extended;
  if (alone) send_ready();
  return true;
}

void Client::answer_lone(const Lone& lone, net::Bytes group, std::string_view tag) {
  adopt(group, {});
  portal_ = {};
  std::string out;
  if (lone.parses) pg::append_empty(out, Backend::kParseComplete);
  if (lone.describes_statement) {
    pg::append_parameter_description(out, std::span<const std::uint32_t>());
    pg::append_empty(out, Backend::kNoData);
  }
  if (!lone.simple) pg::append_empty(out, Backend::kBindComplete);
  if (lone.describes_portal) pg::append_empty(out, Backend::kNoData);
  const std::size_t tag_at = out.size() + pg::kHeaderSize;
  pg::append_command_complete(out, tag);
  if (told_of()) {
    Expected entry;
    entry.text = worker_.texts.get(lone.text);
    entry.start = worker_.loop.now();
    set_cache_outcome(sql::CacheStatus::kUncacheable, {});
    tell(entry, std::string_view(out).substr(tag_at), {}, 0, 0);
  }
  pg::append_ready_for_query(out, status());
  worker_.telemetry.add(Counter::kQueries);
  to_client(out);
}

/// What a ReadyForQuery that is made here says.
pg::TransactionStatus Client::status() const {
  if (lease_) return lease_->status();
  if (begin_lost_) return pg::TransactionStatus::kFailed;
  return begun_ ? pg::TransactionStatus::kInTransaction : pg::TransactionStatus::kIdle;
}

/// Ahead of the first statement on the connection that has just been leased.
void Client::send_begin() {
  // Between it and the statement there is no room for a Query of the proxy's own.
  if (asks_sequences_) forget_sequences();
  std::string& out = worker_.scratch;
  pg::append_parse(out, "", begun_->text, std::span<const std::uint32_t>());
  pg::append_bind(out, {});
  pg::append_execute(out, "", 0);
  if (!begun_portal_) pg::append_close(out, pg::Target::kPortal, "");
  lease_->write(out);
  out.clear();
  InFlight& queue = lease_->in_flight();
  Expected& parsed = lease_->expect(ReplyKind::kParse, ReplyAction::kSwallow);
  parsed.unnamed = true;
  parsed.serial = unnamed_.text == begun_ ? unnamed_.serial : Origin::kSomeones;
  lease_->unnamed_serial = parsed.serial;
  queue.mark_unnamed_change(parsed);
  queue.mark_begin(parsed);
  queue.mark_begin(lease_->expect(ReplyKind::kBind, ReplyAction::kSwallow));
  queue.mark_begin(lease_->expect(ReplyKind::kExecute, ReplyAction::kSwallow));
  if (!begun_portal_) queue.mark_begin(lease_->expect(ReplyKind::kClose, ReplyAction::kSwallow));
  begun_.reset();
}

}  // namespace hyperdrive::proxy::session::postgres
