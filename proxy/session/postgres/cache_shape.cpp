#include "proxy/session/postgres/cache_shape.hpp"

#include <algorithm>

namespace hyperdrive::proxy::session::postgres {

namespace pg = wire::postgres;
using pg::Frontend;
using Kind = GroupShape::Kind;

namespace {

/// Reads the messages of one group in the only order that is understood.
class ShapeReader {
 public:
  explicit ShapeReader(net::Bytes group) : rest_(group) {}

  GroupShape read() {
    if (!next()) return {};
    if (header_.is(Frontend::kQuery)) return query();
    if (header_.is(Frontend::kParse) && (!parse() || !next())) return {};
    if (is_describe_of(pg::Target::kStatement) && (!describe() || !next())) return {};
    if (header_.is(Frontend::kBind)) {
      if (!bind() || !next()) return {};
      if (is_describe_of(pg::Target::kPortal)) {
        shape_.describes_portal = true;
        if (!unnamed_portal_described() || !next()) return {};
      }
      if (!execute() || !next()) return {};
      shape_.kind = Kind::kExecute;
    } else if (shape_.describes_statement) {
      shape_.kind = Kind::kDescribe;
    } else {
      return {};
    }
    return end();
  }

 private:
  bool next() {
    const auto message = pg::read_message(rest_);
    if (message.status != pg::ReadStatus::kOk) return false;
    header_ = message.header;
    body_ = message.body;
    rest_.remove_prefix(header_.size());
    return true;
  }

  GroupShape query() {
    const auto query = pg::parse_query(body_);
    if (!query || !rest_.empty()) return {};
    shape_.kind = Kind::kQuery;
    shape_.syncs = true;
    shape_.text = query->text;
    return shape_;
  }

  bool parse() {
    const auto parse = pg::parse_parse(body_);
    if (!parse) return false;
    shape_.parses = true;
    shape_.statement = parse->name;
    shape_.text = parse->text;
    shape_.types = parse->types;
    return true;
  }

  bool is_describe_of(pg::Target target) const {
    return header_.is(Frontend::kDescribe) && !body_.empty() &&
           body_[0] == static_cast<char>(target);
  }

  /// Names must agree: what is described or bound is what was parsed in this group, if anything
  /// was.
  bool names(std::string_view statement) {
    if ((shape_.parses || shape_.describes_statement) && statement != shape_.statement)
      return false;
    shape_.statement = statement;
    return true;
  }

  bool describe() {
    const auto what = pg::parse_describe(body_);
    if (!what || !names(what->name)) return false;
    shape_.describes_statement = true;
    return true;
  }

  bool bind() {
    const auto bind = pg::parse_bind(body_);
    const auto names_size = pg::peek_bind_names(body_);
    if (!bind || !names_size || !bind->portal.empty() || !names(bind->statement)) return false;
    shape_.bind = *bind;
    // Behind the parameters: the count of result formats and the formats.
    const std::size_t formats = 2 + 2 * bind->result_formats.size();
    shape_.parameters = body_.substr(names_size->size, body_.size() - names_size->size - formats);
    return true;
  }

  bool unnamed_portal_described() const {
    const auto what = pg::parse_describe(body_);
    return what && what->name.empty();
  }

  bool execute() const {
    if (!header_.is(Frontend::kExecute)) return false;
    const auto execute = pg::parse_execute(body_);
    return execute && execute->portal.empty() && execute->max_rows <= 0;
  }

  GroupShape end() {
    shape_.syncs = header_.is(Frontend::kSync);
    const bool flushes = header_.is(Frontend::kFlush) && shape_.kind == Kind::kDescribe;
    if ((!shape_.syncs && !flushes) || !rest_.empty()) return {};
    return shape_;
  }

  net::Bytes rest_;
  pg::Header header_;
  net::Bytes body_;
  GroupShape shape_;
};

void append_sized(std::string& key, std::string_view part) {
  const auto size = static_cast<std::uint32_t>(part.size());
  key.append(reinterpret_cast<const char*>(&size), sizeof size);
  key += part;
}

void append_common(std::string& key, char kind, std::string_view context, std::string_view text,
                   std::string_view types) {
  key.clear();
  key += kind;
  append_sized(key, context);
  append_sized(key, text);
  append_sized(key, types);
}

constexpr char kDescription = 'D';
constexpr char kResult = 'R';
constexpr std::string_view kNoParameters("\0\0\0\0", 4);

}  // namespace

GroupShape read_shape(net::Bytes group) { return ShapeReader(group).read(); }

void append_description_key(std::string& key, std::string_view context, std::string_view text,
                            std::string_view types) {
  append_common(key, kDescription, context, text, types);
}

void append_result_key(std::string& key, std::string_view context, std::string_view text,
                       std::string_view types, const GroupShape& shape) {
  append_common(key, kResult, context, text, types);
  if (shape.kind == Kind::kQuery) {
    append_sized(key, kNoParameters);
    return append_sized(key, {});
  }
  // No parameters: whatever formats are given for them say nothing.
  append_sized(key, shape.bind.parameters.empty() ? kNoParameters : shape.parameters);
  const auto& formats = shape.bind.result_formats;
  // One stands for all columns; of several there must be as many, or the origin has an error.
  const bool all_text =
      formats.size() <= 1 && std::all_of(formats.begin(), formats.end(), [](std::int16_t format) {
        return format == static_cast<std::int16_t>(pg::Format::kText);
      });
  append_sized(key, all_text ? std::string_view{} : formats.raw());
}

}  // namespace hyperdrive::proxy::session::postgres
