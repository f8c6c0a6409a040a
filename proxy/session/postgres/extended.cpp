// Client: Parse, Bind, Describe, Execute, Close. Names of statements are the client's on one side
// and `hyperdrive_<id>` on the other; a statement that the present connection lacks is parsed
// ahead (parse_ahead.cpp).
#include "proxy/session/postgres/client.hpp"
#include "proxy/session/postgres/setting_text.hpp"

namespace hyperdrive::proxy::session::postgres {

namespace pg = wire::postgres;
using pg::Frontend;
using pg::Target;

namespace {

/// A Bind up to this size is built and sent in one piece.
constexpr std::size_t kInlineBind = 4096;
/// No statement has this name.
constexpr std::string_view kMissing = "hyperdrive_missing";

/// BEGIN with modes, of which some must come before any snapshot.
bool begins_with_modes(const TextInfo& text) {
  if (text.plain || !text.analysis || text.analysis->statements.size() != 1) return false;
  const sql::Statement& statement = text.analysis->statements.front();
  const sql::TransactionOptions& modes = statement.transaction;
  return statement.effect == sql::Effect::kBegin &&
         (!modes.isolation.empty() || modes.read_only || modes.deferrable);
}

/// DEALLOCATE or DISCARD: may be answered here, and runs once.
bool cleans_up(const TextInfo& text) {
  if (!text.analysis || text.analysis->statements.size() != 1) return false;
  const sql::Effect effect = text.analysis->statements.front().effect;
  return effect == sql::Effect::kDeallocate || effect == sql::Effect::kDiscard;
}

}  // namespace

void Client::forward_extended(net::Bytes bytes) {
  lease_->write(bytes);
  lease_->set_open(true);
}

// --- Parse --------------------------------------------------------------------------------------

Client::Step Client::parse(const Message& message) {
  const auto parse = pg::parse_parse(message.body);
  if (untold_ && parse) tell_untold(parse->text);
  if (skipping()) return Step::kDone;
  if (!parse) return malformed(message);
  TextRef text = worker_.texts.get(parse->text);
  if (text->asks_sequences) asks_sequences_ = true;
  if (text->plain) parsed_ahead_ = false;
  if (!parse->name.empty() && parse_known(*parse, text)) return Step::kDone;
  if (!need_origin()) return Step::kBlocked;
  if (text->asks_sequences && own_sequences() == Step::kBlocked) return Step::kBlocked;
  if (!parse->name.empty()) return parse_named(message, *parse, std::move(text));
  unnamed_ = {text,
              parse->types.empty() ? nullptr : statement_for(*text, parse->types),
              worker_.next_serial(),
              {}};
  forward_extended(message.whole);
  Expected& entry = lease_->expect(ReplyKind::kParse);
  entry.unnamed = true;
  entry.serial = unnamed_.serial;
  entry.text = std::move(text);
  entry.prepared = unnamed_.statement;
  lease_->in_flight().mark_unnamed_change(entry);
  lease_->unnamed_serial = unnamed_.serial;
  lease_->unnamed_period = 0;
  return Step::kDone;
}

/// A statement that the origin has accepted before needs no connection to be named again; whichever
/// connection it is bound on will have it parsed ahead.
bool Client::parse_known(const pg::Parse& parse, const TextRef& text) {
  if (lease_ || !is_ascii(parse.name)) return false;
  std::string name = known_name(parse.name);
  if (names_.contains(name)) return false;
  StatementRef statement = statement_for(*text, parse.types);
  if (!statement->accepted.load(std::memory_order_relaxed)) return false;
  auto named =
      std::make_shared<Named>(Named{std::move(statement), text, {}, std::string(parse.name)});
  names_.emplace(std::move(name), std::move(named));
  worker_.telemetry.add(Counter::kParsesSaved);
  std::string out;
  pg::append_empty(out, pg::Backend::kParseComplete);
  stream_->write(out);
  return true;
}

Client::Step Client::parse_named(const Message&, const pg::Parse& parse, TextRef text) {
  if (!is_ascii(parse.name) || may_be_by_sql(parse.name)) try_name(parse);
  std::string name = known_name(parse.name);
  if (const auto found = names_.find(name); found != names_.end()) {
    parse_again(parse, NamedRef(found->second));
    return Step::kDone;
  }
  StatementRef statement = statement_for(*text, parse.types);
  auto named =
      std::make_shared<Named>(Named{statement, std::move(text), {}, std::string(parse.name)});
  names_.emplace(std::move(name), named);
  const bool known = lease_->prepared().use(statement->id) != nullptr;
  // In a failed transaction the origin must say so itself, without harm to the statement.
  if (known && in_failed_transaction()) {
    Expected& entry = probe(parse, ReplyAction::kForward);
    entry.named = std::move(named);
    lease_->in_flight().mark_name_change(entry);
    close_probe();
    return Step::kDone;
  }
  if (known) {
    worker_.telemetry.add(Counter::kParsesSaved);
    Expected& entry = lease_->expect(ReplyKind::kParse, ReplyAction::kFake);
    entry.named = std::move(named);
    lease_->in_flight().mark_name_change(entry);
    if (lease_->in_flight().size() == 1) lease_->answer_fakes();
    return Step::kDone;
  }
  make_room();
  Expected& entry = prepare_on_origin(statement, 0, ReplyAction::kForward);
  entry.named = std::move(named);
  lease_->in_flight().mark_name_change(entry);
  return Step::kDone;
}

/// Whether SQL may have prepared a statement of this name on the session's connection.
bool Client::may_be_by_sql(std::string_view name) const {
  return (pins_ & bit(Feature::kPrepare)) != 0 && !name.starts_with(kStatementPrefix);
}

/// It may be no name at all in the session's encoding, or taken: the origin is asked to use it for
/// once.
void Client::try_name(const pg::Parse& parse) {
  std::string& out = worker_.scratch;
  pg::append_parse(out, parse.name, parse.text, parse.types);
  pg::append_close(out, Target::kStatement, parse.name);
  forward_extended(out);
  out.clear();
  lease_->expect(ReplyKind::kParse, ReplyAction::kSwallow);
  lease_->expect(ReplyKind::kClose, ReplyAction::kSwallow);
}

/// The name is taken, which the origin is to say itself, after whatever else is wrong with the
/// text: it gets the new text under the old statement's name.
void Client::parse_again(const pg::Parse& parse, const NamedRef& existing) {
  if (shape_there(*existing) == nullptr) return refuse_name(parse);
  std::string& out = worker_.scratch;
  pg::append_parse(out, existing->statement->name, parse.text, parse.types);
  forward_extended(out);
  out.clear();
  Expected& entry = lease_->expect(ReplyKind::kParse);
  entry.named = std::make_shared<Named>(*existing);
  entry.named->name = parse.name;  // which may be longer than what it is known by
  entry.payload = std::make_unique<std::string>(existing->statement->name);
}

/// Likewise where that statement is not there, and perhaps cannot be parsed any more: the text is
/// tried under another name.
void Client::refuse_name(const pg::Parse& parse) {
  probe(parse, ReplyAction::kSwallow);
  close_probe();
  poison(pg::sqlstate::kDuplicateStatement,
         "prepared statement \"" + std::string(parse.name) + "\" already exists")
      .in_failed = true;
}

bool Client::in_failed_transaction() const {
  return lease_ && lease_->status() == pg::TransactionStatus::kFailed && !recovered_;
}

// --- Bind ---------------------------------------------------------------------------------------

Client::Step Client::bind(const Message& message) {
  const auto names = pg::peek_bind_names(message.body);
  if (untold_ && names) {
    const Meaning meant = meaning(names->statement);
    tell_untold(meant.text ? net::Bytes(meant.text->text) : net::Bytes());
  }
  if (skipping()) return Step::kDone;
  if (!names) return malformed(message);
  if (!need_origin()) return Step::kBlocked;
  if (check_failed_) {
    plan_changed();
    return Step::kDone;
  }
  if (names->statement.empty()) return bind_unnamed(message, *names);
  const auto found = names_.find(known_name(names->statement));
  if (found == names_.end()) return bind_unknown(message, names->statement);
  return bind_named(message, *names, found->second);
}

/// What was parsed ahead took a snapshot, behind which no isolation level may be chosen: an own
/// Sync ends that transaction before the client begins its own.
Client::Step Client::begin_anew() {
  if (!lease_->in_flight().empty()) {
    // If something fails, the Sync must not come before the client's.
    await_replies();
    return Step::kBlocked;
  }
  parsed_ahead_ = false;
  lease_->end_own_pipeline();
  return Step::kDone;
}

Client::Step Client::bind_unnamed(const Message& message, const pg::BindNames& names) {
  if (parsed_ahead_ && unnamed_.text && begins_with_modes(*unnamed_.text) &&
      begin_anew() == Step::kBlocked) {
    return Step::kBlocked;
  }
  const bool asks = unnamed_.text && unnamed_.text->asks_sequences;
  if (asks && own_sequences() == Step::kBlocked) return Step::kBlocked;
  if (unnamed_.outdated) {
    plan_changed();
    return Step::kDone;
  }
  if (ensure_unnamed(message.rest) == Step::kBlocked) return Step::kBlocked;
  if (worker_.gate != nullptr && unnamed_.text) worker_.gate->will_bind(*this, *unnamed_.text);
  forward_extended(message.whole);
  streaming_drops_ = false;
  expect_portal(names.portal, unnamed_.text, nullptr);
  parsed_ahead_ = false;
  return Step::kDone;
}

/// Of a withdrawn statement: whether the client goes by what does not hold any more. Who was told
/// nothing yet gets another one.
bool Client::is_outdated(Named& named) {
  if (named.told.known()) return named.statement->retired.load(std::memory_order_relaxed);
  named.statement = statement_for(*named.text, named.statement->types);
  return false;
}

Client::Step Client::bind_named(const Message& message, const pg::BindNames& names,
                                const NamedRef& named) {
  if (named->statement->withdrawn.load(std::memory_order_relaxed) && is_outdated(*named)) {
    plan_changed();
    return Step::kDone;
  }
  if (parsed_ahead_ && begins_with_modes(*named->text) && begin_anew() == Step::kBlocked) {
    return Step::kBlocked;
  }
  if (named->text->asks_sequences && own_sequences() == Step::kBlocked) return Step::kBlocked;
  if (ensure_prepared(named, message.rest) == Step::kBlocked) return Step::kBlocked;
  if (check_failed_) {
    plan_changed();
    return Step::kDone;
  }
  if (worker_.gate != nullptr) worker_.gate->will_bind(*this, *named->text);
  std::string& out = worker_.scratch;
  pg::append_bind_renamed(out, message.header, names, named->statement->name);
  out += message.body.substr(names.size, kInlineBind);
  forward_extended(out);
  out.clear();
  if (message.body.size() > names.size + kInlineBind) {
    forward(message.body.substr(names.size + kInlineBind));
  }
  streaming_drops_ = false;
  Expected& entry = expect_portal(names.portal, named->text, named);
  entry.named = named;
  entry.prepared = named->statement;
  parsed_ahead_ = false;
  return Step::kDone;
}

/// The origin knows no such name either and says so; unless it is one of ours there.
Client::Step Client::bind_unknown(const Message& message, std::string_view name) {
  if (name.starts_with(kStatementPrefix)) {
    refuse_unknown(name);
    return Step::kDone;
  }
  forward_extended(message.whole);
  streaming_drops_ = false;
  lease_->expect(ReplyKind::kBind);
  return Step::kDone;
}

void Client::refuse_unknown(std::string_view name) {
  fail_surely({"ERROR",
               pg::sqlstate::kUndefinedStatement,
               "prepared statement \"" + std::string(name) + "\" does not exist",
               {},
               {},
               "FetchPreparedStatement"});
}

/// As poison(), but also in a failed transaction: by asking for a statement that is not there.
void Client::fail_surely(const pg::ErrorFields& error) {
  auto payload = std::make_unique<std::string>();
  pg::append_error_response(*payload, error);
  std::string& out = worker_.scratch;
  pg::append_describe(out, Target::kStatement, kMissing);
  forward_extended(out);
  out.clear();
  Expected& entry = lease_->expect(ReplyKind::kDescribeStatement);
  entry.poison = true;
  entry.payload = std::move(payload);
}

/// A Bind has been sent that makes it.
Expected& Client::expect_portal(std::string_view name, TextRef text, const NamedRef& named) {
  Expected& entry = lease_->expect(ReplyKind::kBind);
  entry.portal = name.empty();
  entry.serial = ++binds_;
  Portal portal{std::move(text), named, binds_, named ? named->statement->id : 0};
  if (name.empty()) {
    portal_ = std::move(portal);
  } else {
    entry.payload = std::make_unique<std::string>(known_name(name));
    session().portals.insert_or_assign(*entry.payload, std::move(portal));
  }
  return entry;
}

namespace {

bool ends_transaction(const TextInfo& text) {
  if (text.plain || !text.analysis) return false;
  return std::ranges::any_of(text.analysis->statements, [](const sql::Statement& statement) {
    return statement.effect == sql::Effect::kCommit || statement.effect == sql::Effect::kRollback ||
           statement.effect == sql::Effect::kPrepareTransaction;
  });
}

}  // namespace

/// Whether it depends on unanswered messages that there still is this portal: an earlier Sync,
/// whatever has one in it, or COMMIT may have ended its transaction. Of importance only to what is
/// decided here by its text.
bool Client::portal_uncertain(const Portal& portal) const {
  if (!portal.text || (portal.text->plain && !portal.spent) || !lease_) return false;
  InFlight& queue = lease_->in_flight();
  for (std::size_t i = 0; i < queue.size(); ++i) {
    const Expected& entry = queue[i];
    const bool syncs = entry.kind == ReplyKind::kSync || entry.kind == ReplyKind::kQuery ||
                       entry.kind == ReplyKind::kFunctionCall;
    if (syncs) return true;
    if (entry.kind == ReplyKind::kExecute && entry.text && ends_transaction(*entry.text)) {
      return true;
    }
  }
  return false;
}

/// There is no such portal.
void Client::bind_failed(const Expected& bind) {
  if (!bind.payload || !session_) return;
  const auto found = session_->portals.find(*bind.payload);
  if (found != session_->portals.end() && found->second.bind == bind.serial) {
    session_->portals.erase(found);
  }
}

/// Nor an unnamed one, or an older one, unless a later Bind makes it.
void Client::unnamed_bind_failed() {
  InFlight& queue = lease_->in_flight();
  for (std::size_t i = 0; i < queue.size(); ++i) {
    if (queue[i].portal) return;
  }
  portal_ = {};
}

/// The transaction has ended, and they with it; not those whose Bind is still to be answered.
void Client::end_portals() {
  if (portal_.bind == 0 && (!session_ || session_->portals.empty())) return;
  InFlight& queue = lease_->in_flight();
  std::uint64_t first = binds_ + 1;
  for (std::size_t i = 0; i < queue.size(); ++i) {
    if (queue[i].kind != ReplyKind::kBind || queue[i].serial == 0) continue;
    first = queue[i].serial;
    break;
  }
  if (portal_.bind < first) portal_ = {};
  if (session_) {
    boost::unordered::erase_if(session_->portals,
                               [&](const auto& entry) { return entry.second.bind < first; });
  }
}

const Client::Portal* Client::portal_named(std::string_view name) const {
  if (name.empty()) return &portal_;
  if (!session_) return nullptr;
  const auto found = session_->portals.find(known_name(name));
  return found == session_->portals.end() ? nullptr : &found->second;
}

Client::Portal* Client::portal_named(std::string_view name) {
  return const_cast<Portal*>(std::as_const(*this).portal_named(name));
}

Client::Portal Client::find_portal(std::string_view name) const {
  const Portal* portal = portal_named(name);
  return portal == nullptr ? Portal{} : *portal;
}

/// What the origin has begun to run is not answered here.
void Client::sent_there(std::string_view name) {
  if (Portal* portal = portal_named(name)) portal->sent = true;
}

// --- Describe, Execute, Close -------------------------------------------------------------------

Client::Step Client::describe(const Message& message) {
  if (skipping()) return Step::kDone;
  const auto what = pg::parse_describe(message.body);
  if (!what) return malformed(message);
  if (!need_origin()) return Step::kBlocked;
  if (what->target == Target::kPortal) {
    forward_extended(message.whole);
    Portal portal = find_portal(what->name);
    Expected& entry = lease_->expect(ReplyKind::kDescribePortal);
    if (portal.named && portal.named->statement->id == portal.statement) {
      const Shape* there = lease_->prepared().use(portal.statement);
      if (there != nullptr && there->rows == 0) entry.prepared = portal.named->statement;
    }
    entry.named = std::move(portal.named);
    return Step::kDone;
  }
  if (what->name.empty()) {
    prepare_unnamed();
    forward_extended(message.whole);
    lease_->expect(ReplyKind::kDescribeStatement).unnamed = true;
    return Step::kDone;
  }
  const auto found = names_.find(known_name(what->name));
  if (found == names_.end()) {
    if (what->name.starts_with(kStatementPrefix)) return bind_unknown(message, what->name);
    forward_extended(message.whole);
    lease_->expect(ReplyKind::kDescribeStatement);
    return Step::kDone;
  }
  const NamedRef named = found->second;
  if (named->statement->withdrawn.load(std::memory_order_relaxed)) is_outdated(*named);
  prepare(*named);
  std::string& out = worker_.scratch;
  pg::append_describe(out, Target::kStatement, named->statement->name);
  forward_extended(out);
  out.clear();
  Expected& entry = lease_->expect(ReplyKind::kDescribeStatement);
  entry.named = named;
  entry.prepared = named->statement;
  return Step::kDone;
}

void Client::described(Expected& entry, const Shape& shape) {
  if (entry.named) {
    if (shape.parameters != 0) entry.named->told.parameters = shape.parameters;
    entry.named->told.rows = shape.rows;
    return;
  }
  // Answers come in order: this one is of the Parse that was confirmed last. A later one may have
  // the same text and other types.
  confirmed_.told = shape;
  confirmed_.unchecked = confirmed_.outdated = false;
  if (unnamed_.serial == confirmed_.serial) unnamed_ = confirmed_;
}

Client::Step Client::execute(const Message& message) {
  if (skipping()) return Step::kDone;
  const auto execute = pg::parse_execute(message.body);
  if (!execute) return malformed(message);
  const Portal portal = find_portal(execute->portal);
  TextRef text = portal.text;
  if (portal_uncertain(portal)) {
    await_replies();
    return Step::kBlocked;
  }
  if (portal.spent) {
    poison(pg::sqlstate::kObjectNotInPrerequisiteState,
           "portal \"" + std::string(execute->portal) + "\" cannot be run");
    return Step::kDone;
  }
  if (text && !text->plain && !portal.sent) {
    bool handled = false;
    const Step step = apply_policy(message, *text, handled);
    if (handled || step != Step::kDone) return step;
    if (cleans_up(*text)) sent_there(execute->portal);
  }
  if (!need_origin()) return Step::kBlocked;
  if (text && worker_.gate != nullptr) {
    if (!worker_.gate->may_run(*this, *text)) return wait_for_gate();
    worker_.gate->will_run(*this, *text);
  }
  if (text && text->moves_sequences) moved_sequences_on(*lease_);
  if (text && text->terminates) worker_.service.note_termination(worker_.loop.now());
  forward_extended(message.whole);
  expect_run(ReplyKind::kExecute, std::move(text));
  return Step::kDone;
}

/// A statement's name is the session's alone: the origin keeps the statement.
Client::Step Client::close_name(const Message& message) {
  if (skipping()) return Step::kDone;
  const auto what = pg::parse_close(message.body);
  if (!what) return malformed(message);
  if (!lease_ && !is_ascii(what->name) && !need_origin()) return Step::kBlocked;
  if (what->target == Target::kPortal && lease_) {
    forward_extended(message.whole);
    if (what->name.empty()) portal_ = {};
    if (session_) session_->portals.erase(known_name(what->name));
    lease_->expect(ReplyKind::kClose);
    return Step::kDone;
  }
  NamedRef named;
  const bool unnamed = what->target == Target::kStatement && what->name.empty();
  if (what->target == Target::kStatement) {
    if (unnamed) {
      unnamed_ = {};
    } else if (const auto found = names_.find(known_name(what->name)); found != names_.end()) {
      named = std::move(found->second);
      names_.erase(found);
    }
  }
  if (!lease_) {
    if (what->target == Target::kPortal && what->name.empty()) begun_portal_ = false;
    std::string out;
    pg::append_empty(out, pg::Backend::kCloseComplete);
    stream_->write(out);
    confirmed_ = unnamed_;
    return Step::kDone;
  }
  // It may be no name in the session's encoding, or that of a statement that SQL has prepared.
  const bool by_sql = !unnamed && !named && may_be_by_sql(what->name);
  const bool is_there = by_sql || !is_ascii(what->name);
  if (is_there) forward_extended(message.whole);
  Expected& entry =
      lease_->expect(ReplyKind::kClose, is_there ? ReplyAction::kForward : ReplyAction::kFake);
  if (unnamed) {
    entry.unnamed = true;
    lease_->in_flight().mark_unnamed_change(entry);
  } else if (named) {
    entry.named = std::move(named);
    entry.payload = std::make_unique<std::string>(known_name(what->name));
    lease_->in_flight().mark_name_change(entry);
  }
  if (lease_->in_flight().size() == 1) lease_->answer_fakes();
  return Step::kDone;
}

}  // namespace hyperdrive::proxy::session::postgres
