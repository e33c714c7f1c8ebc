/// Cloudflare R2, over the S3 API (developers.cloudflare.com/r2/api/s3/api): region "auto", service
/// "s3", path-style addresses. libcurl signs the calls (AWS Signature Version 4); the version we
/// have signs paths and queries as they stand, so keys are of unreserved characters and "/" only
/// (is_object_key), which need no encoding, and there are no queries.
#pragma once

#include "config/settings.hpp"
#include "integrations/http_client.hpp"
#include "integrations/object_store.hpp"

#include <memory>
#include <string>

namespace binnacle::integrations::r2 {

struct account {
  std::string endpoint{}; // scheme://host[:port], without a slash at the end
  std::string access_key_id{};
  secret secret_access_key{};
};
account account_of(const r2_settings&);

// The callers have made sure that the key is one.
http_call put_object(const account&, const object_name&, std::string_view bytes,
                     const std::string& content_type);
http_call get_object(const account&, const object_name&, std::size_t max_bytes);
http_call delete_object(const account&, const object_name&);

/// What the answer to get_object holds: null for NoSuchKey; upstream_failed for all other refusals,
/// with R2's code in the detail.
result<std::shared_ptr<const object>> read_object(const result<http_answer>&);
/// Of put_object and delete_object.
result<done> read_done(const result<http_answer>&);

} // namespace binnacle::integrations::r2
