// Client: the groups that are answered from memory: what they mean, and what the client then takes
// for parsed and described.
#include "proxy/session/postgres/client.hpp"

namespace hyperdrive::proxy::session::postgres {

namespace pg = wire::postgres;
using pg::Frontend;
using pg::Target;

Client::Meaning Client::meaning(std::string_view name) const {
  if (name.empty()) {
    return {unnamed_.text, unnamed_.statement, unnamed_.told, unnamed_.text != nullptr};
  }
  const auto found = names_.find(known_name(name));
  if (found == names_.end()) return {};
  return {found->second->text, found->second->statement, found->second->told, true};
}

void Client::adopt(net::Bytes group, const Shape& told) {
  while (group.size() >= pg::kHeaderSize) {
    const auto [status, header, body] = pg::read_message(group);
    if (status != pg::ReadStatus::kOk) return;
    group.remove_prefix(header.size());
    if (header.is(Frontend::kQuery)) unnamed_ = confirmed_ = {};
    if (header.is(Frontend::kDescribe)) adopt_description(body, told);
    if (!header.is(Frontend::kParse)) continue;
    const auto parse = pg::parse_parse(body);
    if (!parse) continue;
    TextRef text = worker_.texts.get(parse->text);
    if (parse->name.empty()) {
      StatementRef statement = parse->types.empty() ? nullptr : statement_for(*text, parse->types);
      unnamed_ = confirmed_ = {std::move(text), std::move(statement), worker_.next_serial(), {}};
    } else {
      StatementRef statement = statement_for(*text, parse->types);
      auto named = std::make_shared<Named>(
          Named{std::move(statement), std::move(text), {}, std::string(parse->name)});
      names_.try_emplace(known_name(parse->name), std::move(named));
    }
  }
}

/// The client decodes by what it was told from memory; whatever runs the statement for it must be
/// asked first whether that still holds.
void Client::adopt_description(net::Bytes describe_body, const Shape& told) {
  const auto what = pg::parse_describe(describe_body);
  if (!what || what->target != pg::Target::kStatement) return;
  if (what->name.empty()) {
    unnamed_.told = confirmed_.told = told;
  } else if (const auto found = names_.find(known_name(what->name)); found != names_.end()) {
    found->second->told = told;
  }
}

}  // namespace hyperdrive::proxy::session::postgres
