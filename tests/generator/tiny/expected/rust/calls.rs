// Made by protocol/generate.py from the catalog. Do not edit.

//! The calls.

#![allow(clippy::too_many_arguments, unused_imports)]

use super::sys;
use super::types::*;
use crate::args::{pointer, Args};
use crate::call::{Call, Method, Take, To};
use crate::client::Client;
use crate::error::Result;
use crate::pages::Pages;
use crate::read::*;
use crate::secret::Secret;
use crate::transaction::{Planned, Transaction};
use crate::values::{Document, Json, Time, Uuid};

static CREATE_THING: Method<Uuid> = Method {
    take: Take::Block(sys::pierre_create_thing_result, crate::sys::pierre_text_free),
    read: text_of::<Uuid>,
};

fn send_create_thing(to: &To<'_>, thing: &NewThing) -> Result<i64> {
    let args = Args::new();
    let thing = args.within("thing", || thing.c(&args));
    crate::send!(to, args, pierre_create_thing_async, pierre_add_create_thing, { &thing })
}

static GET_THING: Method<Option<Thing>> = Method {
    take: Take::Block(sys::pierre_get_thing_result, sys::pierre_thing_free),
    read: optional_row::<Thing>,
};

fn send_get_thing(to: &To<'_>, id: Uuid) -> Result<i64> {
    let args = Args::new();
    let id = args.uuid(id);
    crate::send!(to, args, pierre_get_thing_async, pierre_add_get_thing, { id })
}

static LIST_THINGS: Method<Vec<Thing>> = Method {
    take: Take::Rows(sys::pierre_list_things_result, sys::pierre_thing_free),
    read: rows::<Thing>,
};

fn send_list_things(to: &To<'_>, colour: Option<Colour>, limit: Option<u32>) -> Result<i64> {
    let args = Args::new();
    let colour = args.optional("colour", colour.map(Colour::as_str));
    crate::send!(
        to,
        args,
        pierre_list_things_async,
        pierre_add_list_things,
        { colour, pointer(&limit) },
    )
}

static PUT_DOCUMENT: Method<()> = Method {
    take: Take::Nothing(sys::pierre_put_document_result),
    read: nothing,
};

fn send_put_document(to: &To<'_>, id: Uuid, data: &Document) -> Result<i64> {
    let args = Args::new();
    let id = args.uuid(id);
    let data = args.text("data", data.as_str());
    crate::send!(to, args, pierre_put_document_async, pierre_add_put_document, { id, data })
}

static SWEEP: Method<i64> = Method {
    take: Take::Integer(sys::pierre_sweep_result),
    read: integer,
};

fn send_sweep(to: &To<'_>, days: u32) -> Result<i64> {
    let args = Args::new();
    crate::send!(to, args, pierre_sweep_async, pierre_add_sweep, { days })
}

static PUT_TOKEN: Method<()> = Method {
    take: Take::Nothing(sys::pierre_put_token_result),
    read: nothing,
};

fn send_put_token(
    to: &To<'_>,
    user_id: Uuid,
    access_token: &Secret,
    refresh_token: &Secret,
) -> Result<i64> {
    let args = Args::new();
    let user_id = args.uuid(user_id);
    let access_token = args.text("access_token", access_token.expose());
    let refresh_token = args.text("refresh_token", refresh_token.expose());
    crate::send!(
        to,
        args,
        pierre_put_token_async,
        pierre_add_put_token,
        { user_id, access_token, refresh_token },
    )
}

static GET_TOKEN: Method<Option<Token>> = Method {
    take: Take::Block(sys::pierre_get_token_result, sys::pierre_token_free),
    read: optional_row::<Token>,
};

fn send_get_token(to: &To<'_>, user_id: Uuid) -> Result<i64> {
    let args = Args::new();
    let user_id = args.uuid(user_id);
    crate::send!(to, args, pierre_get_token_async, pierre_add_get_token, { user_id })
}

static CREATE_ACCOUNT: Method<i64> = Method {
    take: Take::Integer(sys::pierre_create_account_result),
    read: integer,
};

fn send_create_account(
    to: &To<'_>,
    password_hash: Option<&Secret>,
    password: Option<&Secret>,
) -> Result<i64> {
    let args = Args::new();
    let password_hash = args.optional("password_hash", password_hash.map(Secret::expose));
    let password = args.optional("password", password.map(Secret::expose));
    crate::send!(
        to,
        args,
        pierre_create_account_async,
        pierre_add_create_account,
        { password_hash, password },
    )
}

static VERIFY_ACCOUNT: Method<Option<Account>> = Method {
    take: Take::Block(sys::pierre_verify_account_result, sys::pierre_account_free),
    read: optional_row::<Account>,
};

fn send_verify_account(to: &To<'_>, id: i64, password: &Secret) -> Result<i64> {
    let args = Args::new();
    let password = args.text("password", password.expose());
    crate::send!(to, args, pierre_verify_account_async, pierre_add_verify_account, { id, password })
}

static SELF_REPORT: Method<Json> = Method {
    take: Take::Block(sys::pierre_self_report_result, crate::sys::pierre_text_free),
    read: text_of::<Json>,
};

fn send_self_report(to: &To<'_>) -> Result<i64> {
    let args = Args::new();
    crate::send!(to, args, pierre_self_report_async, {})
}

impl Client {
    fn start_create_thing(&self, thing: &NewThing) -> Call<Uuid> {
        self.start(&CREATE_THING, &mut |to| send_create_thing(to, thing))
    }

    /// Makes a thing; returns its id.
    ///
    /// * `thing`: The thing.
    pub async fn create_thing(&self, thing: &NewThing) -> Result<Uuid> {
        self.start_create_thing(thing).await
    }

    /// The blocking twin of [`Client::create_thing`].
    pub fn create_thing_blocking(&self, thing: &NewThing) -> Result<Uuid> {
        self.start_create_thing(thing).wait()
    }

    fn start_get_thing(&self, id: Uuid) -> Call<Option<Thing>> {
        self.start(&GET_THING, &mut |to| send_get_thing(to, id))
    }

    /// Looks a thing up. Null when there is none.
    ///
    /// * `id`: The thing's id.
    pub async fn get_thing(&self, id: Uuid) -> Result<Option<Thing>> {
        self.start_get_thing(id).await
    }

    /// The blocking twin of [`Client::get_thing`].
    pub fn get_thing_blocking(&self, id: Uuid) -> Result<Option<Thing>> {
        self.start_get_thing(id).wait()
    }

    fn start_list_things(&self, colour: Option<Colour>, limit: Option<u32>) -> Call<Vec<Thing>> {
        self.start(&LIST_THINGS, &mut |to| send_list_things(to, colour, limit))
    }

    /// Lists things. Causal: a standby may answer it.
    ///
    /// * `colour`: Only such ones.
    /// * `limit`: Most of them.
    pub async fn list_things(
        &self,
        colour: Option<Colour>,
        limit: Option<u32>,
    ) -> Result<Vec<Thing>> {
        self.start_list_things(colour, limit).await
    }

    /// The blocking twin of [`Client::list_things`].
    pub fn list_things_blocking(
        &self,
        colour: Option<Colour>,
        limit: Option<u32>,
    ) -> Result<Vec<Thing>> {
        self.start_list_things(colour, limit).wait()
    }

    fn start_put_document(&self, id: Uuid, data: &Document) -> Call<()> {
        self.start(&PUT_DOCUMENT, &mut |to| send_put_document(to, id, data))
    }

    /// Stores a document.
    ///
    /// * `id`: The thing's id.
    /// * `data`: Any object.
    pub async fn put_document(&self, id: Uuid, data: &Document) -> Result<()> {
        self.start_put_document(id, data).await
    }

    /// The blocking twin of [`Client::put_document`].
    pub fn put_document_blocking(&self, id: Uuid, data: &Document) -> Result<()> {
        self.start_put_document(id, data).wait()
    }

    fn start_sweep(&self, days: u32) -> Call<i64> {
        self.start(&SWEEP, &mut |to| send_sweep(to, days))
    }

    /// Removes what is old.
    ///
    /// * `days`: How old.
    pub async fn sweep(&self, days: u32) -> Result<i64> {
        self.start_sweep(days).await
    }

    /// The blocking twin of [`Client::sweep`].
    pub fn sweep_blocking(&self, days: u32) -> Result<i64> {
        self.start_sweep(days).wait()
    }

    fn start_put_token(
        &self,
        user_id: Uuid,
        access_token: &Secret,
        refresh_token: &Secret,
    ) -> Call<()> {
        self.start(&PUT_TOKEN, &mut |to| send_put_token(to, user_id, access_token, refresh_token))
    }

    /// Stores a token.
    ///
    /// * `user_id`: Whose.
    /// * `access_token`: One text.
    /// * `refresh_token`: Another.
    pub async fn put_token(
        &self,
        user_id: Uuid,
        access_token: &Secret,
        refresh_token: &Secret,
    ) -> Result<()> {
        self.start_put_token(user_id, access_token, refresh_token).await
    }

    /// The blocking twin of [`Client::put_token`].
    pub fn put_token_blocking(
        &self,
        user_id: Uuid,
        access_token: &Secret,
        refresh_token: &Secret,
    ) -> Result<()> {
        self.start_put_token(user_id, access_token, refresh_token).wait()
    }

    fn start_get_token(&self, user_id: Uuid) -> Call<Option<Token>> {
        self.start(&GET_TOKEN, &mut |to| send_get_token(to, user_id))
    }

    /// Gives a token.
    ///
    /// * `user_id`: Whose.
    pub async fn get_token(&self, user_id: Uuid) -> Result<Option<Token>> {
        self.start_get_token(user_id).await
    }

    /// The blocking twin of [`Client::get_token`].
    pub fn get_token_blocking(&self, user_id: Uuid) -> Result<Option<Token>> {
        self.start_get_token(user_id).wait()
    }

    fn start_create_account(
        &self,
        password_hash: Option<&Secret>,
        password: Option<&Secret>,
    ) -> Call<i64> {
        self.start(&CREATE_ACCOUNT, &mut |to| send_create_account(to, password_hash, password))
    }

    /// Makes an account.
    ///
    /// * `password_hash`: A hash.
    /// * `password`: A password.
    pub async fn create_account(
        &self,
        password_hash: Option<&Secret>,
        password: Option<&Secret>,
    ) -> Result<i64> {
        self.start_create_account(password_hash, password).await
    }

    /// The blocking twin of [`Client::create_account`].
    pub fn create_account_blocking(
        &self,
        password_hash: Option<&Secret>,
        password: Option<&Secret>,
    ) -> Result<i64> {
        self.start_create_account(password_hash, password).wait()
    }

    fn start_verify_account(&self, id: i64, password: &Secret) -> Call<Option<Account>> {
        self.start(&VERIFY_ACCOUNT, &mut |to| send_verify_account(to, id, password))
    }

    /// Checks a password.
    ///
    /// * `id`: Whose.
    /// * `password`: A password.
    pub async fn verify_account(&self, id: i64, password: &Secret) -> Result<Option<Account>> {
        self.start_verify_account(id, password).await
    }

    /// The blocking twin of [`Client::verify_account`].
    pub fn verify_account_blocking(&self, id: i64, password: &Secret) -> Result<Option<Account>> {
        self.start_verify_account(id, password).wait()
    }

    fn start_self_report(&self) -> Call<Json> {
        self.start(&SELF_REPORT, &mut |to| send_self_report(to))
    }

    /// Tells about the program.
    pub async fn self_report(&self) -> Result<Json> {
        self.start_self_report().await
    }

    /// The blocking twin of [`Client::self_report`].
    pub fn self_report_blocking(&self) -> Result<Json> {
        self.start_self_report().wait()
    }

}

impl Transaction {
    /// Adds a call of [`Client::create_thing`].
    pub fn create_thing(&mut self, thing: &NewThing) -> Result<Planned<Uuid>> {
        self.add(&CREATE_THING, &mut |to| send_create_thing(to, thing))
    }

    /// Adds a call of [`Client::get_thing`].
    pub fn get_thing(&mut self, id: Uuid) -> Result<Planned<Option<Thing>>> {
        self.add(&GET_THING, &mut |to| send_get_thing(to, id))
    }

    /// Adds a call of [`Client::list_things`].
    pub fn list_things(
        &mut self,
        colour: Option<Colour>,
        limit: Option<u32>,
    ) -> Result<Planned<Vec<Thing>>> {
        self.add(&LIST_THINGS, &mut |to| send_list_things(to, colour, limit))
    }

    /// Adds a call of [`Client::put_document`].
    pub fn put_document(&mut self, id: Uuid, data: &Document) -> Result<Planned<()>> {
        self.add(&PUT_DOCUMENT, &mut |to| send_put_document(to, id, data))
    }

    /// Adds a call of [`Client::sweep`].
    pub fn sweep(&mut self, days: u32) -> Result<Planned<i64>> {
        self.add(&SWEEP, &mut |to| send_sweep(to, days))
    }

    /// Adds a call of [`Client::put_token`].
    pub fn put_token(
        &mut self,
        user_id: Uuid,
        access_token: &Secret,
        refresh_token: &Secret,
    ) -> Result<Planned<()>> {
        self.add(&PUT_TOKEN, &mut |to| send_put_token(to, user_id, access_token, refresh_token))
    }

    /// Adds a call of [`Client::get_token`].
    pub fn get_token(&mut self, user_id: Uuid) -> Result<Planned<Option<Token>>> {
        self.add(&GET_TOKEN, &mut |to| send_get_token(to, user_id))
    }

    /// Adds a call of [`Client::create_account`].
    pub fn create_account(
        &mut self,
        password_hash: Option<&Secret>,
        password: Option<&Secret>,
    ) -> Result<Planned<i64>> {
        self.add(&CREATE_ACCOUNT, &mut |to| send_create_account(to, password_hash, password))
    }

    /// Adds a call of [`Client::verify_account`].
    pub fn verify_account(
        &mut self,
        id: i64,
        password: &Secret,
    ) -> Result<Planned<Option<Account>>> {
        self.add(&VERIFY_ACCOUNT, &mut |to| send_verify_account(to, id, password))
    }

}
