#include "proxy/sql/catalog.hpp"

#include <algorithm>

#include "proxy/sql/catalog_data.hpp"

namespace hyperdrive::proxy::sql {

bool glob_matches(std::string_view glob, std::string_view text) {
  std::size_t g = 0;
  std::size_t t = 0;
  std::size_t star = std::string_view::npos;
  std::size_t retry = 0;
  while (t < text.size()) {
    if (g < glob.size() && (glob[g] == '?' || glob[g] == text[t]) && glob[g] != '*') {
      ++g;
      ++t;
    } else if (g < glob.size() && glob[g] == '*') {
      star = g++;
      retry = t;
    } else if (star != std::string_view::npos) {
      g = star + 1;
      t = ++retry;
    } else {
      return false;
    }
  }
  while (g < glob.size() && glob[g] == '*') ++g;
  return g == glob.size();
}

const Relation* CatalogData::relation(Oid oid) const {
  const auto found = relations_by_oid.find(oid);
  return found == relations_by_oid.end() ? nullptr : &relations[found->second];
}

std::shared_ptr<const Analysis> CatalogData::view(Oid oid) const {
  const std::lock_guard lock(views_mutex);
  const auto known = views.find(oid);
  if (known != views.end()) return known->second;
  const auto definition = definitions.find(oid);
  if (definition == definitions.end()) return nullptr;
  return views[oid] = analyse(definition->second);
}

std::vector<std::string> parse_search_path(const Context& context) {
  std::vector<std::string> schemas;
  const std::string_view path = context.search_path;
  const std::string& user =
      context.role.empty() || context.role == "none" ? context.user : context.role;
  std::size_t at = 0;
  while (at < path.size()) {
    std::string schema;
    bool quoted = false;
    for (; at < path.size() && (quoted || path[at] != ','); ++at) {
      const char c = path[at];
      if (c == '"') {
        if (quoted && at + 1 < path.size() && path[at + 1] == '"') {
          schema += path[++at];
        } else {
          quoted = !quoted;
        }
      } else if (quoted || (c != ' ' && c != '\t')) {
        schema += !quoted && c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
      }
    }
    ++at;
    if (schema == "$user") schema = user;
    if (!schema.empty()) schemas.push_back(std::move(schema));
  }
  // Unless named, pg_catalog is searched first.
  if (std::find(schemas.begin(), schemas.end(), "pg_catalog") == schemas.end()) {
    schemas.insert(schemas.begin(), "pg_catalog");
  }
  return schemas;
}

Catalog::Catalog(std::unique_ptr<const CatalogData> data) : data_(std::move(data)) {}
Catalog::~Catalog() = default;

bool Catalog::may_hide_state() const { return data_->may_hide_state; }

std::string Catalog::table_name(Oid table) const {
  const Relation* relation = data_->relation(table);
  return relation ? relation->schema + "." + relation->name : std::string();
}

std::vector<Oid> Catalog::tables_matching(std::string_view glob) const {
  std::vector<Oid> tables;
  for (const Relation& relation : data_->relations) {
    if (relation.schema == "pg_catalog" || relation.schema == "information_schema") continue;
    if (glob_matches(glob, relation.schema + "." + relation.name) ||
        (relation.schema == "public" && glob_matches(glob, relation.name))) {
      tables.push_back(relation.oid);
    }
  }
  std::sort(tables.begin(), tables.end());
  return tables;
}

std::size_t Catalog::table_count() const { return data_->relations.size(); }

std::size_t Catalog::bytes() const {
  // Nodes of hash maps with short strings: a hundred bytes each, as measured with 10 000 tables.
  constexpr std::size_t kNode = 100;
  std::size_t total = data_->relations.size() * (sizeof(Relation) + kNode);
  total += (data_->functions.size() + data_->columns.size() + data_->types.size()) * 2 * kNode;
  total += (data_->children.size() + data_->cascades.size() + data_->side_effects.size()) * kNode;
  for (const auto& [oid, text] : data_->definitions) total += text.size() + kNode;
  return total;
}

}  // namespace hyperdrive::proxy::sql
