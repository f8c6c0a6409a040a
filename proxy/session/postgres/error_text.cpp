#include "proxy/session/postgres/error_text.hpp"

#include "proxy/wire/postgres/backend.hpp"
#include "proxy/wire/postgres/build.hpp"
#include "proxy/wire/postgres/sqlstate.hpp"

namespace hyperdrive::proxy::session::postgres {

namespace pg = wire::postgres;
using pg::Backend;

std::string retold(net::Bytes body, std::string_view old_part, std::string_view new_part) {
  std::string out(1, static_cast<char>(Backend::kErrorResponse));
  out.append(4, '\0');
  while (!body.empty() && body[0] != '\0') {
    const std::size_t end = body.find('\0', 1);
    if (end == net::Bytes::npos) break;
    std::string field(body.substr(0, end));
    if (field[0] == static_cast<char>(pg::Field::kMessage)) {
      const auto at = field.find(old_part);
      if (at != std::string::npos) field.replace(at, old_part.size(), new_part);
    }
    out += field;
    out += '\0';
    body.remove_prefix(end + 1);
  }
  out += '\0';
  pg::store_u32(out.data() + 1, static_cast<std::uint32_t>(out.size() - 1));
  return out;
}

bool is_about_text(net::Bytes body) {
  const auto has = [body](pg::Field field) { return pg::error_field(body, field).has_value(); };
  return pg::error_field(body, pg::Field::kSqlstate) == pg::sqlstate::kSyntaxError &&
         has(pg::Field::kPosition) && !has(pg::Field::kInternalPosition) &&
         !has(pg::Field::kInternalQuery) && !has(pg::Field::kWhere);
}

}  // namespace hyperdrive::proxy::session::postgres
