// Client: statements that the present connection lacks are parsed there ahead of the message that
// needs them, and looked at once more where the client goes by an older description; what the
// origin then answers differently is taken back. Errors in the origin's name stand at their place
// in the pipeline.
#include "proxy/session/postgres/client.hpp"

namespace hyperdrive::proxy::session::postgres {

namespace pg = wire::postgres;
using pg::Frontend;
using pg::Target;

namespace {

constexpr std::string_view kPoison = "SELECT \"hyperdrive_refused\"";

/// Whether one of the messages that follow in this group is a Describe.
bool describes(net::Bytes rest) {
  while (rest.size() >= pg::kHeaderSize) {
    const pg::Header header = pg::read_header(rest).header;
    if (header.is(Frontend::kDescribe)) return true;
    if (header.is(Frontend::kSync) || header.size() > rest.size()) return false;
    rest.remove_prefix(header.size());
  }
  return false;
}

/// Of what has no plan of its own the origin never says that its shape has changed: a FETCH takes
/// that of whatever cursor is there.
bool has_fixed_shape(const TextInfo& text) {
  if (text.plain || !text.analysis || text.analysis->statements.size() != 1) return true;
  switch (text.analysis->statements.front().effect) {
    case sql::Effect::kFetch:
    case sql::Effect::kExecute:
    case sql::Effect::kShow:
    case sql::Effect::kExplain:
      return false;
    default:
      return true;
  }
}

}  // namespace

// --- on the connection --------------------------------------------------------------------------

Expected& Client::probe(const pg::Parse& parse, ReplyAction action) {
  std::string& out = worker_.scratch;
  pg::append_parse(out, kProbe, parse.text, parse.types);
  forward_extended(out);
  out.clear();
  return lease_->expect(ReplyKind::kParse, action);
}

void Client::close_probe() {
  std::string& out = worker_.scratch;
  pg::append_close(out, Target::kStatement, kProbe);
  forward_extended(out);
  out.clear();
  lease_->expect(ReplyKind::kClose, ReplyAction::kSwallow);
}

/// Closes the least recently used statement of a connection that is full, in the stream; a later
/// message that needs it again will parse it again.
void Client::make_room() {
  const std::uint64_t id = lease_->prepared().surplus();
  if (id == 0) return;
  close_on_origin(id);
  worker_.telemetry.add(Counter::kStatementsEvicted);
}

void Client::close_on_origin(std::uint64_t id) {
  std::string& out = worker_.scratch;
  pg::append_close(out, Target::kStatement, std::string(kStatementPrefix) + std::to_string(id));
  forward_extended(out);
  out.clear();
  lease_->prepared().remove(id);
  Expected& entry = lease_->expect(ReplyKind::kClose, ReplyAction::kSwallow);
  entry.serial = id;
  lease_->in_flight().mark_prepared_change(entry);
}

Expected& Client::prepare_on_origin(const StatementRef& statement, ReplyAction action) {
  std::string& out = worker_.scratch;
  pg::append_parse(out, statement->name, statement->text, statement->types);
  forward_extended(out);
  out.clear();
  lease_->prepared().add(statement->id);
  Expected& entry = lease_->expect(ReplyKind::kParse, action);
  entry.prepared = statement;
  lease_->in_flight().mark_prepared_change(entry);
  return entry;
}

// --- statements that must be there --------------------------------------------------------------

void Client::inject(const Named& named) {
  parsed_ahead_ = parsed_ahead_ || !lease_->open();
  make_room();
  prepare_on_origin(named.statement, ReplyAction::kSwallow);
  worker_.telemetry.add(Counter::kParsesInjected);
}

Client::Step Client::ensure_prepared(const NamedRef& named, net::Bytes rest) {
  if (is_prepared(*named)) {
    if (!named->unconfirmed || describes(rest)) return Step::kDone;
    named->unconfirmed = false;
    return check(named->statement->name, named);
  }
  named->unconfirmed = false;
  inject(*named);
  if (!named->told.known() || !has_fixed_shape(*named->text) || describes(rest)) {
    return Step::kDone;
  }
  return check(named->statement->name, named);
}

Client::Step Client::ensure_unnamed(net::Bytes rest) {
  std::string& out = worker_.scratch;
  if (!unnamed_.text) {
    // The client has none, so it must not find another's.
    if (lease_->unnamed_serial == Origin::kNone) return Step::kDone;
    pg::append_close(out, Target::kStatement, "");
    forward_extended(out);
    out.clear();
    Expected& entry = lease_->expect(ReplyKind::kClose, ReplyAction::kSwallow);
    entry.unnamed = true;
    lease_->in_flight().mark_unnamed_change(entry);
    lease_->unnamed_serial = Origin::kNone;
    return Step::kDone;
  }
  if (lease_->unnamed_serial == unnamed_.serial) return Step::kDone;
  static const std::vector<std::uint32_t> kNoTypes;
  parsed_ahead_ = parsed_ahead_ || !lease_->open();
  pg::append_parse(out, "", unnamed_.text->text,
                   unnamed_.statement ? unnamed_.statement->types : kNoTypes);
  forward_extended(out);
  out.clear();
  Expected& entry = lease_->expect(ReplyKind::kParse, ReplyAction::kSwallow);
  entry.unnamed = true;
  entry.serial = unnamed_.serial;
  lease_->in_flight().mark_unnamed_change(entry);
  lease_->unnamed_serial = unnamed_.serial;
  worker_.telemetry.add(Counter::kParsesInjected);
  if (!unnamed_.told.known() || !has_fixed_shape(*unnamed_.text) || describes(rest)) {
    return Step::kDone;
  }
  return check("", nullptr);
}

/// Asks the origin for the shape of what was just parsed anew, and waits: a client that decodes by
/// an older description must not get rows of another shape.
Client::Step Client::check(std::string_view name, const NamedRef& named) {
  std::string& out = worker_.scratch;
  pg::append_describe(out, Target::kStatement, name);
  pg::append_empty(out, Frontend::kFlush);
  forward_extended(out);
  out.clear();
  Expected& entry = lease_->expect(ReplyKind::kDescribeStatement, ReplyAction::kSwallow);
  entry.check = true;
  entry.named = named;
  block(Block::kCheck);
  return Step::kBlocked;
}

void Client::checked(Expected& entry, const Shape& now) {
  const Shape& before = entry.named ? entry.named->told : unnamed_.told;
  if (!fits(before, now)) {
    check_failed_ = true;
    worker_.telemetry.add(Counter::kPlansChanged);
    const TextRef& text = entry.named ? entry.named->text : unnamed_.text;
    if (worker_.gate != nullptr && text) worker_.gate->shape_changed(*text);
    if (entry.named) worker_.service.statements.retire(*entry.named->statement);
  }
  unblock(Block::kCheck);
}

void Client::check_gone() { unblock(Block::kCheck); }

void Client::plan_changed() {
  check_failed_ = false;
  // asyncpg and pgJDBC prepare anew when they see it, and know it by its routine.
  constexpr std::string_view kText = "cached plan must not change result type";
  Expected& entry = poison(pg::sqlstate::kFeatureNotSupported, kText);
  entry.payload->clear();
  pg::append_error_response(
      *entry.payload,
      {"ERROR", pg::sqlstate::kFeatureNotSupported, kText, {}, {}, "RevalidateCachedQuery"});
}

/// An error in the origin's name, at its place in the pipeline and with all its consequences there:
/// something is sent that surely fails, and its error is replaced.
Expected& Client::poison(std::string_view sqlstate, std::string_view text, std::string_view hint) {
  auto payload = std::make_unique<std::string>();
  pg::append_error_response(*payload, {"ERROR", sqlstate, text, {}, hint});
  std::string& out = worker_.scratch;
  pg::append_parse(out, kProbe, kPoison, std::span<const std::uint32_t>());
  forward_extended(out);
  out.clear();
  Expected& entry = lease_->expect(ReplyKind::kParse);
  entry.poison = true;
  entry.payload = std::move(payload);
  return entry;
}

// --- taking back --------------------------------------------------------------------------------

void Client::undo_parse(const Expected& entry) {
  for (auto at = names_.begin(); at != names_.end(); ++at) {
    if (at->second == entry.named) {
      names_.erase(at);
      return;
    }
  }
}

void Client::undo_close(Expected& entry) {
  if (entry.payload) names_.try_emplace(std::move(*entry.payload), std::move(entry.named));
}

void Client::unnamed_parsed(const Expected& entry) {
  confirmed_ = {entry.text, entry.prepared, entry.serial, {}};
  if (unnamed_.serial == entry.serial) confirmed_.told = unnamed_.told;
}

void Client::unnamed_failed() { confirmed_ = {}; }

/// After an error: unless newer messages are on their way, what the origin confirmed holds.
void Client::restore_unnamed() {
  InFlight& queue = lease_->in_flight();
  for (std::size_t i = 0; i < queue.size(); ++i) {
    if (queue[i].unnamed || queue[i].kind == ReplyKind::kQuery) return;
  }
  unnamed_ = confirmed_;
}

void Client::query_done() { confirmed_ = {}; }

}  // namespace hyperdrive::proxy::session::postgres
