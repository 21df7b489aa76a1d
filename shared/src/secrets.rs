//! The names of what Toggl hands out and nobody else may have: keys to an account, and how somebody
//! pays.

/// Fields that never leave the fetcher, of whatever record, at whatever depth.
pub const NAMES: &[&str] = &[
    // Keys to an account, a workspace, a calendar or a conversation.
    "api_token",
    "intercom_hash",
    "ical_url",
    "ical_token",
    "invitation_code",
    "invitation_token",
    "invite_url",
    "reset_token",
    "access_token",
    "refresh_token",
    "password",
    "secret",
    "validation_code",
    "validation_code_url",
    // How an organisation pays.
    "subscription",
    "card",
    "cards",
    "card_details",
    "card_holder",
    "cardholder",
    "credit_card",
    "credit_cards",
    "billing_contact",
    "billing_contacts",
    "billing_address",
    "billing_details",
    "billing_email",
    "contact_detail",
    "contact_details",
    "payment_details",
    "payment_method",
    "payment_methods",
    "vat_number",
    "vat_id",
];

/// Whether a field of that name never leaves the fetcher; case does not matter.
pub fn is_secret(name: &str) -> bool {
    NAMES.iter().any(|secret| secret.eq_ignore_ascii_case(name))
}
