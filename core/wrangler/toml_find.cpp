#include "core/wrangler/toml_find.hpp"

#include <algorithm>

namespace hyperdrive::core::wrangler {
namespace {

Path joined(const Path& a, const Path& b) {
  Path path = a;
  path.insert(path.end(), b.begin(), b.end());
  return path;
}

Path tail(const Path& path, std::size_t from) {
  return Path(path.begin() + static_cast<std::ptrdiff_t>(from), path.end());
}

/// Goes on from `found.node` as far as its inline tables have the rest of the path.
void descend(Written& found) {
  while (!found.rest.empty() && found.node->kind == Node::Kind::kTable) {
    const auto& items = found.node->items;
    const auto next = std::find_if(items.begin(), items.end(), [&](const Item& item) {
      return starts_with(found.rest, item.key);
    });
    if (next == items.end()) return;
    found.chain.push_back({found.node, static_cast<std::size_t>(next - items.begin())});
    found.rest = tail(found.rest, next->key.size());
    found.node = &next->value;
  }
}

}  // namespace

std::optional<Written> find_written(const Statements& statements, const Path& path) {
  for (std::size_t i = 0; i < statements.size(); ++i) {
    const Statement& statement = statements[i];
    if (statement.kind != Statement::Kind::kKeyValue) continue;
    const Path full = joined(statement.header, statement.item.key);
    if (!starts_with(path, full)) continue;
    Written found{i, {}, &statement.item.value, tail(path, full.size())};
    descend(found);
    return found;
  }
  return {};
}

std::vector<std::size_t> array_headers(const Statements& statements, const Path& path) {
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i < statements.size(); ++i) {
    if (statements[i].kind == Statement::Kind::kArray && statements[i].header == path) {
      found.push_back(i);
    }
  }
  return found;
}

std::vector<std::size_t> element_statements(const Statements& statements, const Path& path,
                                            std::size_t header) {
  std::vector<std::size_t> found{header};
  for (std::size_t i = header + 1; i < statements.size(); ++i) {
    if (statements[i].kind == Statement::Kind::kArray && statements[i].header == path) break;
    if (starts_with(statements[i].header, path)) found.push_back(i);
  }
  return found;
}

std::optional<std::size_t> last_below(const Statements& statements, const Path& path) {
  for (std::size_t i = statements.size(); i-- > 0;) {
    if (starts_with(statements[i].header, path)) return i;
  }
  return {};
}

std::optional<std::size_t> last_dotted(const Statements& statements, const Path& path) {
  for (std::size_t i = statements.size(); i-- > 0;) {
    const Statement& statement = statements[i];
    if (statement.kind != Statement::Kind::kKeyValue) continue;
    if (statement.header.size() >= path.size()) continue;
    const Path full = joined(statement.header, statement.item.key);
    if (full.size() > path.size() && starts_with(full, path)) return i;
  }
  return {};
}

}  // namespace hyperdrive::core::wrangler
