// Client: how its session understands a text, and so which statement a text is.
//
// Parse decides what names mean and what literals are, and a plan may hold what it took for
// constant, so a statement is shared only among sessions whose settings say the same. On a lease
// the connection may say otherwise than the session's settings: by a SET of the transaction, or by
// code that nobody has seen.
#include <functional>

#include "proxy/session/postgres/client.hpp"

namespace hyperdrive::proxy::session::postgres {

namespace pg = wire::postgres;

/// Nobody else's, and never the same again.
std::uint64_t Client::own_number() { return mix(serial_, worker_.next_serial()); }

void Client::note_reading(const Findings& findings) {
  ends_ = ends_ || findings.ends;
  if (!findings.rereads && (own_reading_ == 0 || !findings.ends)) return;
  // The same SETs in an open transaction make the same of the same settings.
  const bool certain = findings.rereading != 0 && !ends_ &&
                       lease_->status() == pg::TransactionStatus::kInTransaction;
  own_reading_ = certain ? mix(own_reading_, findings.rereading) : own_number();
}

std::uint64_t Client::reading() {
  const std::uint64_t agreed = parse_fingerprint(settings_);
  if (!lease_) return agreed;
  if (lease_->left.hidden || lease_->left.anything) return mix(agreed, own_number());
  return own_reading_ == 0 ? agreed : mix(agreed, own_reading_);
}

namespace {

/// Whether Parse looks for something that only its session has: a cursor, a statement that SQL has
/// prepared, a setting that the server does not know.
bool depends_on_session(const TextInfo& text) {
  if (text.plain || !text.analysis || text.analysis->statements.size() != 1) return false;
  const sql::Statement& statement = text.analysis->statements.front();
  return statement.effect == sql::Effect::kFetch || statement.effect == sql::Effect::kExecute ||
         (statement.effect == sql::Effect::kShow && text.text.find('.') != std::string::npos);
}

}  // namespace

StatementRef Client::statement_for(TextInfo& text, std::span<const std::uint32_t> types) {
  // Who prepares after a DDL must be told the new shape: nothing from before it will do.
  const std::uint64_t definitions = worker_.service.definitions();
  if (text.definitions != definitions) {
    text.statements.clear();
    text.definitions = definitions;
  }
  const std::uint64_t understood = reading();
  std::uint64_t fingerprint = mix(mix(understood, definitions), own_definitions_);
  if (redefining_ != 0) fingerprint = mix(fingerprint, redefining_);
  if (depends_on_session(text)) fingerprint = mix(fingerprint, own_number());
  for (auto at = text.statements.begin(); at != text.statements.end(); ++at) {
    if ((*at)->withdrawn.load(std::memory_order_relaxed)) {
      text.statements.erase(at);
      break;
    }
    if ((*at)->fingerprint == fingerprint &&
        std::equal(types.begin(), types.end(), (*at)->types.begin(), (*at)->types.end())) {
      return *at;
    }
  }
  StatementRef statement =
      worker_.service.statements.get(text.text, types, fingerprint, understood);
  if (text.statements.size() < 16) text.statements.push_back(statement);
  return statement;
}

StatementRef Client::statement_for(TextInfo& text, const pg::Oids& types) {
  std::vector<std::uint32_t> oids(types.begin(), types.end());
  return statement_for(text, std::span<const std::uint32_t>(oids));
}

/// What is known of the statement's shape on this connection; null: it is not there. If not, and
/// were it parsed there now it would be understood otherwise than it was, the name stands for
/// another statement from now on: this one is others', too.
const Shape* Client::shape_there(Named& named) {
  if (const Shape* shape = lease_->prepared().use(named.statement->id)) return shape;
  if (named.statement->reading == reading()) return nullptr;
  named.statement = statement_for(*named.text, named.statement->types);
  return lease_->prepared().use(named.statement->id);
}

}  // namespace hyperdrive::proxy::session::postgres
