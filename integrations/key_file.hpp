/// Files that hold one key of ours. Such a file is written once and never changed.
#pragma once

#include "config/base/errors.hpp"
#include "config/base/secret.hpp"

#include <functional>
#include <string>

namespace binnacle::integrations {

/// The content of `path`. When there is no such file, `make` gives the content and the file is
/// written (0600; missing folders 0700) so that a crash leaves either no file or a whole one; of
/// two processes that do this at once one wins and both return the winner's content. internal
/// when it cannot be read or written; the detail names the file, never the content.
result<secret> read_or_make_key_file(const std::string& path, const std::function<secret()>& make);

} // namespace binnacle::integrations
