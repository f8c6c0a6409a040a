// Client: statements that the present connection lacks are parsed there ahead of the message that
// needs them, and looked at once more where the client goes by an older description; what the
// origin then answers differently is taken back. Errors in the origin's name stand at their place
// in the pipeline.
#include <algorithm>
#include <optional>

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

/// `told`: the shape of its parameters that somebody goes by; 0: nobody.
Expected& Client::prepare_on_origin(const StatementRef& statement, std::uint64_t told,
                                    ReplyAction action) {
  std::string& out = worker_.scratch;
  pg::append_parse(out, statement->name, statement->text, statement->types_for(told));
  forward_extended(out);
  out.clear();
  lease_->prepared().add(statement->id, redefining_ != 0);
  Expected& entry = lease_->expect(ReplyKind::kParse, action);
  entry.prepared = statement;
  lease_->in_flight().mark_prepared_change(entry);
  return entry;
}

// --- statements that must be there --------------------------------------------------------------

void Client::inject(const Named& named) {
  parsed_ahead_ = parsed_ahead_ || !lease_->open();
  make_room();
  prepare_on_origin(named.statement, named.told.parameters, ReplyAction::kSwallow);
  worker_.telemetry.add(Counter::kParsesInjected);
}

namespace {

enum class Fit { kRight, kUnknown, kWrong };

Fit fit_of(std::uint64_t told, std::uint64_t there) {
  if (told == 0 || told == there) return Fit::kRight;
  return there == 0 ? Fit::kUnknown : Fit::kWrong;
}

/// Whether a client that goes by `told` is served rightly by a statement of the shape `there`: it
/// has encoded its parameters by that, and decodes rows by it unless they are `described` anew.
Fit fit_of(const Shape& told, const Shape& there, bool described) {
  const Fit rows = described ? Fit::kRight : fit_of(told.rows, there.rows);
  if (told.parameters == kNoParameters) return rows;
  return std::max(rows, fit_of(told.parameters, there.parameters));
}

}  // namespace

/// What is known of its shape there.
const Shape& Client::prepare(Named& named) {
  if (const Shape* there = shape_there(named)) {
    if (!lease_->prepared().is_doubtful(named.statement->id)) return *there;
    close_on_origin(named.statement->id);
  }
  inject(named);
  return *lease_->prepared().use(named.statement->id);
}

/// For a Bind. Whoever had the statement parsed on this connection, it may have been after its
/// tables have changed.
Client::Step Client::ensure_prepared(const NamedRef& named, net::Bytes rest) {
  const Shape& there = prepare(*named);
  if (there == named->told) return Step::kDone;
  Fit fit = fit_of(named->told, there, false);
  if (fit != Fit::kRight && (!has_fixed_shape(*named->text) || describes(rest))) {
    fit = fit_of(named->told, there, true);
  }
  switch (fit) {
    case Fit::kRight:
      break;
    case Fit::kUnknown:
      return check(named->statement->name, named);
    case Fit::kWrong:
      outdated(named);
      break;
  }
  return Step::kDone;
}

/// Whether it had to be parsed there.
bool Client::prepare_unnamed() {
  std::string& out = worker_.scratch;
  if (!unnamed_.text) {
    // The client has none, so it must not find another's.
    if (lease_->unnamed_serial == Origin::kNone) return false;
    pg::append_close(out, Target::kStatement, "");
    forward_extended(out);
    out.clear();
    Expected& entry = lease_->expect(ReplyKind::kClose, ReplyAction::kSwallow);
    entry.unnamed = true;
    lease_->in_flight().mark_unnamed_change(entry);
    lease_->unnamed_serial = Origin::kNone;
    return false;
  }
  if (lease_->unnamed_serial == unnamed_.serial &&
      !lease_->prepared().is_of_the_past(lease_->unnamed_period)) {
    return false;
  }
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
  lease_->unnamed_period = redefining_ != 0 ? lease_->prepared().period() : 0;
  worker_.telemetry.add(Counter::kParsesInjected);
  return true;
}

/// For a Bind. One that has its rows described is not compared, the next one may have to be.
Client::Step Client::ensure_unnamed(net::Bytes rest) {
  if (prepare_unnamed()) unnamed_checked(false);
  if (!unnamed_.unchecked) return Step::kDone;
  const bool described = !has_fixed_shape(*unnamed_.text) || describes(rest);
  if (fit_of(unnamed_.told, {}, described) == Fit::kRight) return Step::kDone;
  return check("", nullptr);
}

/// What an error brings back knows it, too.
void Client::unnamed_checked(bool so) {
  unnamed_.unchecked = !so;
  if (confirmed_.serial == unnamed_.serial) confirmed_.unchecked = !so;
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
  if (named) entry.prepared = named->statement;
  block(Block::kCheck);
  return Step::kBlocked;
}

void Client::checked(Expected& entry, const Shape& now) {
  const Shape& before = entry.named ? entry.named->told : unnamed_.told;
  if (!entry.named) unnamed_checked(true);
  if (!fits(before, now)) outdated(entry.named);
  unblock(Block::kCheck);
}

/// What the client goes by does not hold any more. `named` null: its unnamed statement.
void Client::outdated(const NamedRef& named) {
  check_failed_ = true;
  worker_.telemetry.add(Counter::kPlansChanged);
  const TextRef& text = named ? named->text : unnamed_.text;
  if (worker_.gate != nullptr && text) worker_.gate->shape_changed(*text);
  if (named) return retire(*named->statement);
  if (redefining_ != 0) return unnamed_checked(false);
  unnamed_.outdated = true;
  if (confirmed_.serial == unnamed_.serial) confirmed_.outdated = true;
}

/// What has changed in a transaction may be as it was when that has ended.
void Client::retire(const Statement& statement) {
  if (redefining_ == 0) worker_.service.statements.retire(statement);
}

void Client::check_gone() { unblock(Block::kCheck); }

namespace {

constexpr std::string_view kPlanChanged = "cached plan must not change result type";

/// asyncpg and pgJDBC prepare anew when they see it, and know it by its routine.
std::string plan_changed_error() {
  std::string out;
  pg::append_error_response(
      out,
      {"ERROR", pg::sqlstate::kFeatureNotSupported, kPlanChanged, {}, {}, "RevalidateCachedQuery"});
  return out;
}

}  // namespace

void Client::plan_changed() {
  check_failed_ = false;
  *poison(pg::sqlstate::kFeatureNotSupported, kPlanChanged).payload = plan_changed_error();
}

/// Where the client has the rows described anew it learns of their shape too late for its Bind,
/// which then asks for formats of all columns that it was told of. Postgres would have found the
/// plan changed before it counted them.
std::optional<std::string> Client::said_instead(const Expected& failed,
                                                const pg::ErrorFields& error) {
  if (failed.kind != ReplyKind::kBind || !failed.named || failed.named->told.rows == 0 ||
      error.sqlstate != pg::sqlstate::kProtocolViolation) {
    return std::nullopt;
  }
  const std::string asked = "bind message has " +
                            std::to_string(columns_of(failed.named->told.rows)) +
                            " result formats but query has ";
  if (!error.message.starts_with(asked)) return std::nullopt;
  const Shape* there = lease_->prepared().use(failed.prepared->id);
  if (there == nullptr || there->rows == failed.named->told.rows) return std::nullopt;
  retire(*failed.prepared);
  return plan_changed_error();
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
  const auto found = names_.find(known_name(entry.named->name));
  if (found != names_.end() && found->second == entry.named) names_.erase(found);
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
