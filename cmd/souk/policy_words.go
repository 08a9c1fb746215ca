package main

import (
	"fmt"
	"slices"
	"strings"

	"souk/access/iam"
)

// This file knows which actions and condition keys there are, to find those
// that a policy misspells: AWS and Souk take any word, and it matches nothing.

// services are the services of actions that Souk asks policies for.
var services = []string{"aws-marketplace", "ec2", "ecr", "iam", "organizations", "sns", "sts"}

// actions are all actions that Souk asks policies for, and sts:GetCallerIdentity,
// which needs none.
var actions = []string{
	"aws-marketplace:CancelChangeSet", "aws-marketplace:DeleteResourcePolicy", "aws-marketplace:DescribeAssessment",
	"aws-marketplace:DescribeChangeSet", "aws-marketplace:DescribeEntity", "aws-marketplace:GetListing", "aws-marketplace:GetProduct",
	"aws-marketplace:GetResourcePolicy", "aws-marketplace:ListAssessments", "aws-marketplace:ListChangeSets", "aws-marketplace:ListEntities",
	"aws-marketplace:ListFulfillmentOptions", "aws-marketplace:ListTagsForResource", "aws-marketplace:PutResourcePolicy",
	"aws-marketplace:SearchListings", "aws-marketplace:StartChangeSet",
	"aws-marketplace:TagResource", "aws-marketplace:UntagResource",

	"ec2:DeregisterImage", "ec2:DescribeImageAttribute", "ec2:DescribeImages", "ec2:DescribeInstanceTypes", "ec2:DescribeRegions",
	"ec2:GetInstanceTypesFromInstanceRequirements", "ec2:ModifyImageAttribute", "ec2:RegisterImage",

	"ecr:BatchCheckLayerAvailability", "ecr:BatchDeleteImage", "ecr:BatchGetImage", "ecr:CompleteLayerUpload",
	"ecr:DescribeImages", "ecr:GetAuthorizationToken", "ecr:GetDownloadUrlForLayer", "ecr:InitiateLayerUpload",
	"ecr:ListImages", "ecr:PutImage", "ecr:UploadLayerPart",

	"iam:AddUserToGroup", "iam:AttachGroupPolicy", "iam:AttachRolePolicy", "iam:AttachUserPolicy", "iam:CreateAccessKey", "iam:CreateGroup",
	"iam:CreatePolicy", "iam:CreatePolicyVersion", "iam:CreateRole", "iam:CreateUser", "iam:DeleteAccessKey", "iam:DeleteGroup",
	"iam:DeleteGroupPolicy", "iam:DeletePolicy", "iam:DeletePolicyVersion", "iam:DeleteRole", "iam:DeleteRolePolicy", "iam:DeleteUser",
	"iam:DeleteUserPolicy", "iam:DetachGroupPolicy", "iam:DetachRolePolicy", "iam:DetachUserPolicy", "iam:GetGroup", "iam:GetGroupPolicy",
	"iam:GetPolicy", "iam:GetPolicyVersion", "iam:GetRole", "iam:GetRolePolicy", "iam:GetUser", "iam:GetUserPolicy", "iam:ListAccessKeys",
	"iam:ListAccountAliases", "iam:ListAttachedGroupPolicies", "iam:ListAttachedRolePolicies", "iam:ListAttachedUserPolicies",
	"iam:ListEntitiesForPolicy", "iam:ListGroupPolicies", "iam:ListGroups", "iam:ListGroupsForUser", "iam:ListInstanceProfilesForRole",
	"iam:ListPolicies", "iam:ListPolicyTags", "iam:ListPolicyVersions", "iam:ListRolePolicies", "iam:ListRoleTags", "iam:ListRoles",
	"iam:ListUserPolicies", "iam:ListUserTags", "iam:ListUsers", "iam:PassRole", "iam:PutGroupPolicy", "iam:PutRolePolicy", "iam:PutUserPolicy",
	"iam:RemoveUserFromGroup", "iam:SetDefaultPolicyVersion", "iam:TagPolicy", "iam:TagRole", "iam:TagUser", "iam:UntagPolicy", "iam:UntagRole",
	"iam:UntagUser", "iam:UpdateAccessKey", "iam:UpdateAssumeRolePolicy", "iam:UpdateGroup", "iam:UpdateRole", "iam:UpdateUser",

	"organizations:CloseAccount", "organizations:CreateAccount", "organizations:CreateOrganization", "organizations:CreateOrganizationalUnit",
	"organizations:DeleteOrganizationalUnit", "organizations:DescribeAccount", "organizations:DescribeCreateAccountStatus",
	"organizations:DescribeOrganization", "organizations:DescribeOrganizationalUnit", "organizations:DisableAWSServiceAccess", "organizations:EnableAWSServiceAccess",
	"organizations:ListAccounts", "organizations:ListAWSServiceAccessForOrganization",
	"organizations:ListAccountsForParent", "organizations:ListChildren", "organizations:ListCreateAccountStatus", "organizations:ListDelegatedAdministrators",
	"organizations:ListOrganizationalUnitsForParent", "organizations:ListParents", "organizations:ListRoots",
	"organizations:ListTagsForResource", "organizations:MoveAccount", "organizations:TagResource", "organizations:UntagResource",
	"organizations:UpdateOrganizationalUnit",

	"sns:ConfirmSubscription", "sns:CreateTopic", "sns:DeleteTopic", "sns:GetSubscriptionAttributes", "sns:GetTopicAttributes",
	"sns:ListSubscriptions", "sns:ListSubscriptionsByTopic", "sns:ListTopics", "sns:Publish", "sns:SetSubscriptionAttributes",
	"sns:SetTopicAttributes", "sns:Subscribe", "sns:Unsubscribe",

	"sts:AssumeRole", "sts:GetCallerIdentity", "sts:SetSourceIdentity", "sts:TagSession",
}

// conditionKeys are all condition keys that a request may have.
var conditionKeys = []string{
	"aws:CurrentTime", "aws:EpochTime", "aws:MultiFactorAuthPresent", "aws:PrincipalAccount", "aws:PrincipalArn",
	"aws:PrincipalIsAWSService", "aws:PrincipalOrgID", "aws:PrincipalType", "aws:RequestedRegion", "aws:ResourceAccount", "aws:SecureTransport", "aws:SourceAccount", "aws:SourceIdentity", "aws:SourceIp",
	"aws:TagKeys", "aws:TokenIssueTime", "aws:UserAgent", "aws:userid", "aws:username", "aws:ViaAWSService",

	"aws-marketplace:Intent", "catalog:ChangeType", "iam:PassedToService", "iam:PolicyARN", "sns:Endpoint", "sns:Protocol",
	"sts:ExternalId", "sts:RoleSessionName", "sts:SourceIdentity",
}

// tagKeys begin the condition keys of tags; what follows is the tag's key.
var tagKeys = []string{"aws:PrincipalTag/", "aws:RequestTag/", "aws:ResourceTag/"}

// isConditionKey says whether a request may have a condition key.
func isConditionKey(key string) bool {
	return contains(conditionKeys, key) || slices.ContainsFunc(tagKeys, func(tag string) bool {
		return len(key) > len(tag) && strings.EqualFold(key[:len(tag)], tag)
	})
}

// misspelt says which words of a policy mean nothing here.
func misspelt(p *iam.Policy) []string {
	var found []string
	warn := func(format string, args ...any) {
		text := fmt.Sprintf(format, args...)
		if !slices.Contains(found, text) {
			found = append(found, text)
		}
	}
	for _, s := range p.Statements {
		for _, action := range slices.Concat(s.Action, s.NotAction) {
			service, _, _ := strings.Cut(strings.ToLower(action), ":")
			if slices.Contains(services, service) && !strings.ContainsAny(action, "*?") && !contains(actions, action) {
				warn("Souk has no action %s: this matches nothing", action)
			}
		}
		for _, c := range s.Condition {
			if !isConditionKey(c.Key) {
				warn("no request to Souk has the condition key %s", c.Key)
			}
		}
	}
	return found
}

// contains looks a word up in either case, as policies are read.
func contains(words []string, word string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return strings.EqualFold(w, word) })
}
